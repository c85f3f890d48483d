/** What models answered to the sample prompts: before and after training, and of several runs beside each other. */
import type { RunDetail } from "../api.ts";
import { count } from "../format.ts";
import { Part } from "../parts/blocks.tsx";

const MOST_PROMPTS = 12;

interface Answer {
  name: string;
  text: string;
  tint?: number;
}

/** The first and the last answer to each prompt; those between on request. */
export function Samples({ run }: { run: RunDetail }) {
  const { prompts, left } = promptsOf([run]);
  return (
    <Part
      title="What it says"
      margin
      note={`Answers to the sample prompts, first and last.${left > 0 ? ` Of ${left} more prompts they stand in events.jsonl.` : ""}`}
    >
      {prompts.map((prompt) => {
        const said = run.samples.filter((sample) => sample.prompt === prompt);
        const answers = said.map(({ step, text }) => ({ name: `step ${count(step)}`, text }));
        const reference = said.at(-1)?.reference;
        const ends = answers.length > 1 ? [answers[0]!, answers.at(-1)!] : answers;
        return (
          <section key={prompt} class="sample">
            <h3 class="words">{prompt}</h3>
            <Answers of={ends} />
            {answers.length > 2 && (
              <details>
                <summary class="soft">{answers.length - 2} between</summary>
                <Answers of={answers.slice(1, -1)} />
              </details>
            )}
            {reference && (
              <details>
                <summary class="soft">the answer in the data</summary>
                <p class="words">{reference}</p>
              </details>
            )}
          </section>
        );
      })}
    </Part>
  );
}

/** The last answer of each run to the prompts that at least two of them were asked. */
export function ComparedSamples({ runs, names }: { runs: readonly RunDetail[]; names: readonly string[] }) {
  const { prompts, left } = promptsOf(runs, 2);
  if (prompts.length === 0) return null;
  return (
    <Part
      title="What they say"
      margin
      note={`The last answer of each to the same prompts.${left > 0 ? ` ${left} more prompts are not shown.` : ""}`}
    >
      {prompts.map((prompt) => (
        <section key={prompt} class="sample">
          <h3 class="words">{prompt}</h3>
          <Answers
            of={runs.flatMap(({ samples }, i) => {
              const last = samples.findLast((sample) => sample.prompt === prompt);
              return last === undefined
                ? []
                : [{ name: `${names[i]}, step ${count(last.step)}`, text: last.text, tint: i + 1 }];
            })}
          />
        </section>
      ))}
    </Part>
  );
}

function Answers({ of }: { of: readonly Answer[] }) {
  return (
    <div class="answers">
      {of.map(({ name, text, tint }) => (
        <div key={name}>
          <h4>
            {tint !== undefined && <span class={`swatch t${tint}`} />}
            {name}
          </h4>
          <p class="words">{text === "" ? <span class="soft">(nothing)</span> : text}</p>
        </div>
      ))}
    </div>
  );
}

/** @param askedOf runs that must have been asked */
function promptsOf(runs: readonly RunDetail[], askedOf = 1): { prompts: string[]; left: number } {
  const times = new Map<string, number>();
  for (const { samples } of runs) {
    for (const prompt of new Set(samples.map((sample) => sample.prompt)))
      times.set(prompt, (times.get(prompt) ?? 0) + 1);
  }
  const prompts = [...times].filter(([, many]) => many >= askedOf).map(([prompt]) => prompt);
  return { prompts: prompts.slice(0, MOST_PROMPTS), left: Math.max(0, prompts.length - MOST_PROMPTS) };
}
