/** What tests of several processes do with finished runs. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@camelid/torch";

/** Largest difference of any weight of what two runs have trained: models or adapters. */
export function weightDistance(run: string, other: string): number {
  using _ = torch.tensorScope();
  const read = (folder: string) => {
    const file = ["model.safetensors", "adapter_model.safetensors"].find((name) =>
      existsSync(join(folder, "final", name)),
    );
    return torch.readSafetensors(join(folder, "final", file!)).tensors;
  };
  const [here, there] = [read(run), read(other)];
  if ([...here.keys()].join() !== [...there.keys()].join()) throw new Error("different weights");
  return Math.max(...[...here].map(([name, weight]) => weight.sub(there.get(name)!).abs().amax().item()));
}

/** As if the run had been stopped after a step that has a checkpoint: its end is cut off. */
export function cutAfterStep(run: string, step: number): void {
  rmSync(join(run, "final"), { recursive: true });
  for (const name of readdirSync(join(run, "checkpoints")))
    if (Number(name.replace("step-", "")) > step) rmSync(join(run, "checkpoints", name), { recursive: true });
  const events = readFileSync(join(run, "events.jsonl"), "utf8").split("\n");
  const cut = events.findIndex((line) => line.includes('"step-end"') && line.includes(`"step":${step + 1},`));
  writeFileSync(join(run, "events.jsonl"), `${events.slice(0, cut).join("\n")}\n`);
}
