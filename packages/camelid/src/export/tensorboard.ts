/** The record of a run as TensorBoard shows it: scalars of training and evaluation, samples and settings as text. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../run/atomic-write.js";
import type { RunEvent } from "../run/events.js";
import type { RunRecord } from "../run/read-run.js";
import { summaryEvent, type TfValue, tfRecord, versionEvent } from "./tf-records.js";

/**
 * Writes one event file into `folder`; exporting the same run again replaces it. Steps that a resume made void are left out.
 * @returns its path
 */
export function exportTensorboard(run: RunRecord, folder: string): string {
  const started = run.events.find(({ event }) => event === "run-start");
  const seconds = (time: string | undefined): number => Date.parse(time ?? "1970-01-01T00:00:00Z") / 1000;
  const begin = seconds(started?.time);
  const settings = { tag: "settings", text: `\`\`\`json\n${JSON.stringify(run.settings, null, 2)}\n\`\`\`` };
  const records = [versionEvent(begin), summaryEvent(begin, 0, [settings])];
  const inOrder = [...run.steps, ...run.evals, ...run.samples].sort((a, b) => a.step - b.step);
  const prompts = [...new Set(run.samples.map(({ prompt }) => prompt))];
  for (const event of inOrder)
    records.push(summaryEvent(seconds(event.time), event.step, valuesOf(event, prompts)));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `events.out.tfevents.${Math.floor(begin)}.camelid`);
  writeFileAtomic(path, Buffer.concat(records.map(tfRecord)));
  return path;
}

function valuesOf(event: RunEvent, prompts: readonly string[]): TfValue[] {
  const scalars = (values: Readonly<Record<string, number>>, prefix = ""): TfValue[] =>
    Object.entries(values).map(([name, scalar]) => ({ tag: `${prefix}${name}`, scalar }));
  switch (event.event) {
    case "step-end": {
      const {
        loss,
        lr,
        grad_norm,
        epoch,
        trained_tokens,
        tokens_per_second,
        sources = {},
        metrics = {},
      } = event;
      const bySource = Object.entries(sources).map(([name, source]) => [name, source.loss]);
      return [
        ...scalars({ loss, lr, grad_norm, epoch, trained_tokens, tokens_per_second }, "train/"),
        ...scalars(Object.fromEntries(bySource), "train/loss_by_source/"),
        ...scalars(metrics),
      ];
    }
    case "eval-end": {
      const { name, loss, metrics = {} } = event;
      return scalars({ ...(loss === undefined ? {} : { loss }), ...metrics }, `${name}/`);
    }
    case "sample": {
      const quoted = event.text.replaceAll("\n", "\n> ");
      const text = `**${event.prompt}**\n\n> ${quoted}\n\n(${event.finish_reason ?? ""})`;
      return [{ tag: `samples/${prompts.indexOf(event.prompt) + 1}`, text }];
    }
    default:
      return [];
  }
}
