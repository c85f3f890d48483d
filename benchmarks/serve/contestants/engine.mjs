// The same engine without a server: what is between the two is HTTP, JSON and events.
import { createEngine, loadModel, loadTokenizer } from "../../../packages/camelid/dist/index.js";
import * as torch from "../../../packages/torch/dist/index.js";

export async function open({ model: folder, precision, threads, newTokens }) {
  torch.setNumThreads(threads);
  const model = loadModel(folder, { dtype: precision === "fp32" ? "float32" : "bfloat16" });
  const engine = createEngine(model, await loadTokenizer(folder), { kvCacheBytes: 2 ** 30 });
  const request = (promptIds) => ({ promptIds, maxNewTokens: newTokens });
  return {
    async ask(prompt, _, onFirst) {
      let tokens = 0;
      for await (const { outputIds } of engine.stream(request(prompt))) {
        if (tokens === 0) onFirst();
        tokens += outputIds.length;
      }
      return tokens;
    },
    ids: async (prompt) => [...(await engine.generate([request(prompt)]))[0][0].outputIds],
    close: () => engine[Symbol.asyncDispose](),
  };
}
