// `camelid serve`, asked over HTTP; its answers are read as a stream. Clients share the machine with it.
import { startServerProcess } from "../server-process.mjs";

export async function open({ model, precision, threads, newTokens }) {
  const server = await startServerProcess(model, {
    threads,
    settings: ["--precision", precision, "--kv-cache-bytes", String(2 ** 30)],
  });
  const body = (prompt) =>
    JSON.stringify({
      model: "bench",
      prompt,
      max_tokens: newTokens,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
  return {
    async ask(prompt, _, onFirst) {
      const response = await fetch(`${server.url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: body(prompt),
      });
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
      let end = "";
      let hasFirst = false;
      const decoder = new TextDecoder();
      for await (const chunk of response.body) {
        if (!hasFirst) onFirst();
        hasFirst = true;
        // Clients are not what is measured: only the last events are looked into.
        end = (end + decoder.decode(chunk, { stream: true })).slice(-2000);
      }
      return Number(/"completion_tokens":(\d+)/.exec(end)[1]);
    },
    close: () => server.stop(),
  };
}
