// The record of a benchmark as tables: medians over rounds, ratios of the same round with their range.
import { median } from "./numbers.mjs";

export function markdown({ cpu, node, threads, rounds, loadBefore, runs, ...settings }) {
  const lines = [
    `${cpu}, ${threads} threads, Node.js ${node}, ${rounds} rounds in turn, load before ${loadBefore.toFixed(1)}. Prompts of ${settings["prompt-tokens"]} tokens (half to one and a half), ${settings["new-tokens"]} new ones, greedy. Ratios: median of rounds (range).`,
  ];
  for (const precision of [...new Set(runs.map((run) => run.precision))]) {
    const ours = runs.filter((run) => run.precision === precision);
    const of = (contestant) => ours.filter((run) => run.contestant === contestant);
    const [serve, engine, llama] = [of("serve"), of("engine"), of("llama-cpp")];
    lines.push(
      "",
      `### ${precision}`,
      "",
      "| clients | serve tok/s | engine tok/s | llama.cpp tok/s | serve / engine | serve / llama.cpp | first token: serve | engine | llama.cpp |",
      "|---|---|---|---|---|---|---|---|---|",
    );
    for (const clients of Object.keys(serve[0].results)) {
      const speeds = (some) => some.map(({ results }) => results[clients].tokensPerSecond);
      const speed = (some) => (some.length === 0 ? "-" : median(speeds(some)).toFixed(0));
      const first = (some) => {
        if (some.length === 0) return "-";
        const ms = (key) => median(some.map(({ results }) => results[clients][key])).toFixed(0);
        return `${ms("firstTokenMedianMs")} ms, p95 ${ms("firstTokenP95Ms")}`;
      };
      const ratio = (others) => {
        if (others.length === 0) return "-";
        const ratios = speeds(serve).map((speed, i) => speed / speeds(others)[i]);
        return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`;
      };
      lines.push(
        `| ${clients} | ${speed(serve)} | ${speed(engine)} | ${speed(llama)} | ${ratio(engine)} | ${ratio(llama)} | ${first(serve)} | ${first(engine)} | ${first(llama)} |`,
      );
    }
    if (llama.length > 0) lines.push("", sameTexts(engine[0].texts, llama[0].texts));
  }
  return `${lines.join("\n")}\n`;
}

function sameTexts(ours, theirs) {
  const beginning = ours.map((ids, i) => {
    const end = ids.findIndex((id, t) => id !== theirs[i][t]);
    return end === -1 ? ids.length : end;
  });
  const same = beginning.filter((length, i) => length === ours[i].length).length;
  return `Texts of the engine that llama.cpp writes alike: ${same} of ${ours.length}; alike until token ${beginning.join(", ")}.`;
}
