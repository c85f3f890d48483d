import { ModelError } from "../errors.js";
import type { HubFile } from "./hub-api.js";

/** Everything small that a model folder may need, and what people should keep with it. */
const COMPANIONS = /\.(json|jinja|model|txt|md)$|^(LICENSE|LICENCE|NOTICE|USE_POLICY)/i;
const SAFETENSORS = /^(model(-\d+-of-\d+)?|adapter_model)\.safetensors$/;
const PYTORCH = /^(pytorch_model(-\d+-of-\d+)?|adapter_model)\.bin$/;
/** Companions are small; a JSON file of gigabytes is data and not part of the model. */
const MAX_COMPANION_BYTES = 256 * 1024 * 1024;

/**
 * What is fetched of a repository: weights in one format, configuration, tokenizer, licence. Repositories often hold
 * the same weights several times (PyTorch, GGUF, ONNX, TensorFlow, `consolidated`, `original/`).
 * @throws {ModelError} when there are no weights
 */
export function modelFiles(files: readonly HubFile[], where: string): HubFile[] {
  // Names come from outside: what is not a plain file name is not fetched.
  const top = files.filter(({ name }) => /^[^./\\:\0][^/\\:\0]*$/.test(name));
  const weights = [SAFETENSORS, PYTORCH].map((format) => top.filter(({ name }) => format.test(name)));
  const [chosen] = weights.filter(({ length }) => length > 0);
  if (chosen === undefined) {
    const names = top.map(({ name }) => name).slice(0, 12);
    throw new ModelError(
      "ERR_WEIGHTS_NONE",
      `the repository holds no weights that can be read; it holds ${names.join(", ")}.`,
      {
        where,
        fix: "choose a repository with model.safetensors or pytorch_model.bin.",
      },
    );
  }
  const indexOfOthers = SAFETENSORS.test(chosen[0]!.name)
    ? /\.bin\.index\.json$/
    : /\.safetensors\.index\.json$/;
  const companions = top.filter(
    ({ name, size }) => COMPANIONS.test(name) && !indexOfOthers.test(name) && size <= MAX_COMPANION_BYTES,
  );
  // What is small, and may already be wrong, comes first.
  return [...companions, ...chosen];
}
