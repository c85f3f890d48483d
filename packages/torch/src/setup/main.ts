/** Set-up in a checkout, before anything else of the project runs. */
import { TorchError } from "../errors.js";
import { setUp } from "./set-up.js";

try {
  await setUp((line) => console.log(`  ${line}`));
} catch (error) {
  console.error(error instanceof TorchError ? error.format() : error);
  process.exitCode = 1;
}
