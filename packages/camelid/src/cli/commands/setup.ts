import { setUp } from "@camelid/torch/setup";
import { Command } from "commander";

export function command(): Command {
  return new Command("setup")
    .description(
      "Finds or fetches libtorch and compiles the binding to it, once; the results are kept in the user's cache. In a checkout, npm start and npm test do it by themselves.",
    )
    .action(() => setUp((line) => process.stdout.write(`${line}\n`)));
}
