import { profileSummary } from "../run/profile-text.js";
import type { RunRecord } from "../run/read-run.js";
import { fold, table } from "./blocks.js";
import { type HtmlValue, html } from "./html.js";
import { section } from "./page.js";
import { numberText } from "./scale.js";

/** Where the time of a measured step went: by phase, and by operator. */
export function profileSection({ events }: RunRecord): HtmlValue {
  return events.flatMap((event) => {
    if (event.event !== "step-profiled") return [];
    const { step, duration_ms, tokens, phases, operators, device, trace } = event;
    const summary = profileSummary(event);
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const time = (ms: number): [string, string] => [numberText(ms), percent(ms / duration_ms)];
    const number = { kind: "number" } as const;
    return [
      section({
        heading: `Profile of step ${step}`,
        note: html`${numberText(duration_ms)} ms for ${numberText(tokens)} tokens on ${device}: ${percent(summary.matrixProducts)} in matrix products, ${percent(summary.otherOperators)} in other operators, ${percent(summary.betweenOperators)} between operators. <a href="https://ui.perfetto.dev">Perfetto</a> opens <code>${trace}</code>, which has every call.`,
        body: [
          table(
            [{ name: "phase" }, { name: "ms", ...number }, { name: "share", ...number }],
            phases.map(({ name, ms }) => [name, ...time(ms)]),
          ),
          fold(
            device === "cpu" ? "By operator" : "By operator: the time to start them, not the device's",
            table(
              [
                { name: "phase" },
                { name: "operator", kind: "code" },
                { name: "calls", ...number },
                { name: "ms", ...number },
                { name: "share", ...number },
              ],
              operators.map(({ name, phase, calls, ms }) => [phase, name, calls, ...time(ms)]),
            ),
          ),
        ],
      }),
    ];
  });
}
