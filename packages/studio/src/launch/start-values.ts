/** What a form holds when it opens. */
import type { Catalog, LaunchChoices, RunDetail } from "../api.ts";
import { splitId } from "../format.ts";
import type { Route } from "../router.tsx";

interface StartFrom {
  choices: LaunchChoices;
  source: RunDetail | undefined;
  route: Route;
  catalog: Catalog;
}

/** From the run that is copied, from the data that was chosen, and a free folder. */
export function startValues({ choices, source, route, catalog }: StartFrom): Record<string, string> {
  if (route.query.get("resume") !== null) return {};
  const own = (source?.settings ?? []).filter(({ isDefault, key }) => !isDefault && key !== "out");
  const values: Record<string, string> = Object.fromEntries(own.map(({ key, value }) => [key, value]));
  const data = choices.data.find(({ id }) => id === route.query.get("data"))?.path;
  if (data !== undefined) values.data = data;
  const model = choices.models.find(({ id }) => id === route.query.get("model"))?.path;
  if (model !== undefined) values.model = model;
  const recipe = source?.summary.recipe ?? route.query.get("recipe") ?? "sft";
  values.out = suggestedOut(recipe, { choices, catalog });
  return values;
}

/** A folder that is free. */
export function suggestedOut(
  recipe: string,
  { choices, catalog }: { choices: LaunchChoices; catalog: Catalog },
): string {
  const taken = new Set([...catalog.runs, ...catalog.evals].map(({ id }) => splitId(id).name));
  let n = 1;
  while (taken.has(`${recipe}-${n}`)) n++;
  return choices.out === "." ? `${recipe}-${n}` : `${choices.out}/${recipe}-${n}`;
}
