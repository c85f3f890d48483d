// llama.cpp on the exported GGUF, through node-llama-cpp: one sequence a client, batched by its own scheduler.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export async function open({ gguf, llamaCpp, threads, newTokens, promptTokens, clients }) {
  const entry = join(llamaCpp, "node-llama-cpp/dist/index.js");
  const { getLlama } = await import(pathToFileURL(entry).href);
  const llama = await getLlama({
    gpu: false,
    build: "never",
    logLevel: "error",
    progressLogs: false,
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath: gguf });
  const context = await model.createContext({
    sequences: Math.max(...clients),
    contextSize: Math.ceil(promptTokens * 1.5) + newTokens + 8,
    batchSize: 512, // tokens of one step: the engine's own number
    threads,
  });
  const sequences = Array.from({ length: Math.max(...clients) }, () => context.getSequence());
  const generate = async (prompt, client, onToken) => {
    const sequence = sequences[client];
    await sequence.clearHistory();
    let count = 0;
    for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
      onToken(token, count++);
      if (count === newTokens) break;
    }
    return count;
  };
  return {
    ask: (prompt, client, onFirst) => generate(prompt, client, (_, count) => count === 0 && onFirst()),
    async ids(prompt) {
      const ids = [];
      await generate(prompt, 0, (id) => ids.push(id));
      return ids;
    },
    close: () => llama.dispose(),
  };
}
