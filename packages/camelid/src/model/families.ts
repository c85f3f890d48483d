/** Every model family there is. A new one is a file in `families/` and a line here; `docs/guides/model-families.md` shows how. */
import { llama } from "./families/llama.js";
import { mistral } from "./families/mistral.js";
import { olmo2 } from "./families/olmo2.js";
import { qwen2 } from "./families/qwen2.js";
import { qwen3 } from "./families/qwen3.js";
import type { ModelFamily } from "./family.js";

export const FAMILIES: ReadonlyMap<string, ModelFamily> = new Map(
  [llama, mistral, qwen2, qwen3, olmo2].map((family) => [family.modelType, family]),
);
