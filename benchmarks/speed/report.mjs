// The table of a run, as Markdown: medians of the rounds, in parentheses their range.
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const short = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const share = (value) => `${(100 * value).toFixed(0)} %`;

export function markdown({ machine, settings, cases }) {
  const lines = [
    "# Speed beside what is possible",
    "",
    `    ${settings.command}`,
    "",
    `${machine.time}, commit ${machine.commit}. ${machine.cpu}, ${settings.threads} threads, load ${machine.loadBefore} before and ` +
      `${machine.loadAfter} after; Node ${machine.node}, libtorch ${machine.libtorch}. bf16, ${settings.rounds} rounds in turn, ` +
      `peers in the first ${settings.peerRounds}. Memory copies at ${median(copyRates(cases)).toFixed(1)} GB/s.`,
    "",
    "| case | Camelid | peers in the same run | limit: matrix products alone | share | with memory traffic | share |",
    "|---|---|---|---|---|---|---|",
    ...cases.map(row),
    "",
    "Rates are medians of the rounds. Shares are Camelid's best round over the limit's best: other work on the machine slows single rounds,",
    "and a slowed limit is none. Limits: the same projections and head with the same numbers of tokens (attention, norms, loss and data not",
    "counted); then the bytes of optimizer, 4-bit weights, keys and values at the rate of a copy. Rendering: the tokenizer library alone.",
    "Mixing: parsing and writing JSON on one thread, times the threads.",
    "",
  ];
  return lines.join("\n");
}

function row({ title, unit, results }) {
  const own = results.camelid.map(({ rate }) => rate);
  const limit = results.limit;
  const shareOf = (key) => share(Math.max(...own) / Math.max(...limit.map((round) => round[key])));
  const peers = Object.entries(results).filter(([name]) => name !== "camelid" && name !== "limit");
  const peerCells = peers.map(([name, runs]) => {
    if (runs.some(({ error }) => error)) return `${name}: ${runs[0].error}`;
    const rates = runs.map(({ rate }) => rate);
    return `${name} ${short(median(rates))}: ${median(rates.map((rate, i) => own[i] / rate)).toFixed(2)}x`;
  });
  const hasMemory = limit[0].withMemory !== undefined;
  const cells = [
    title,
    `${spread(own)} ${unit}`,
    peerCells.join("; ") || "-",
    spread(limit.map(({ rate }) => rate)),
    shareOf("rate"),
    hasMemory ? spread(limit.map(({ withMemory }) => withMemory)) : "",
    hasMemory ? shareOf("withMemory") : "",
  ];
  return `| ${cells.join(" | ")} |`;
}

const spread = (rates) =>
  rates.length === 1
    ? short(rates[0])
    : `${short(median(rates))} (${short(Math.min(...rates))}-${short(Math.max(...rates))})`;

function copyRates(cases) {
  const rates = cases.flatMap(({ results }) => results.limit.flatMap(({ copyGBs }) => copyGBs ?? []));
  return rates.length > 0 ? rates : [Number.NaN];
}
