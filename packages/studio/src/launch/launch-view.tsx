import { useEffect, useState } from "preact/hooks";
import {
  type Catalog,
  get,
  type LaunchCheck,
  type LaunchChoices,
  type LaunchState,
  part,
  post,
  type RecipeForm,
  RequestFailed,
  type RunDetail,
} from "../api.ts";
import { useLoad, useRested } from "../hooks.ts";
import { Failure, Note, Page } from "../parts/blocks.tsx";
import { CopyButton } from "../parts/copy-button.tsx";
import { link, type Route, setQuery } from "../router.tsx";
import { Fields } from "./fields.tsx";
import { PlanPanel } from "./plan-panel.tsx";
import { startValues, suggestedOut } from "./start-values.ts";
import { Started } from "./started.tsx";

/** For who does not know the short names; a recipe of the future is shown by its own. */
const RECIPES: Record<string, string> = {
  sft: "answers to learn",
  dpo: "pairs, one answer preferred",
  kto: "answers judged good or bad",
  reward: "a model that scores answers",
  eval: "benchmarks",
};

/** A form from the recipe's own schema: what the command line takes, with its help, defaults and errors. */
export function LaunchView({
  route,
  catalog,
  reload,
}: {
  route: Route;
  catalog: Catalog;
  reload: () => void;
}) {
  const recipes = useLoad("recipes", (signal) => get<RecipeForm[]>("launch/recipes", {}, signal));
  const choices = useLoad("choices", (signal) => get<LaunchChoices>("launch/choices", {}, signal));
  const before = route.query.get("resume") ?? route.query.get("from");
  const source = useLoad(before === null ? "" : `run ${before}`, (signal) =>
    get<RunDetail>(`runs/${part(before ?? "")}`, {}, signal),
  );
  const error = recipes.error ?? choices.error ?? source.error;
  if (error) {
    return (
      <Page title="Train">
        <Failure of={error} />
      </Page>
    );
  }
  if (!recipes.value || !choices.value || (before !== null && !source.value)) {
    return (
      <Page title="Train">
        <div aria-busy="true" />
      </Page>
    );
  }
  return (
    <Form
      key={`${before} ${route.query.get("data")}`}
      recipes={recipes.value}
      choices={choices.value}
      source={source.value}
      route={route}
      catalog={catalog}
      reload={reload}
    />
  );
}

function Form(props: {
  recipes: RecipeForm[];
  choices: LaunchChoices;
  source: RunDetail | undefined;
  route: Route;
  catalog: Catalog;
  reload: () => void;
}) {
  const { recipes, choices, source, route } = props;
  const resume = route.query.get("resume");
  const [name, setName] = useState(source?.summary.recipe ?? route.query.get("recipe") ?? "sft");
  const recipe = recipes.find((one) => one.name === name) ?? recipes[0];
  const [preset, setPreset] = useState<string | null>(null);
  const [values, setValues] = useState<Record<string, string>>(() => startValues(props));
  const [started, setStarted] = useState<LaunchState>();
  const [failed, setFailed] = useState<RequestFailed>();
  const [attempted, setAttempted] = useState(false);
  const [find, setFind] = useState("");
  const request = { recipe: recipe?.name ?? name, preset: resume === null ? preset : null, values, resume };
  const rested = useRested(JSON.stringify(request), 200);
  const [check, setCheck] = useState<LaunchCheck>();
  useEffect(() => {
    const stop = new AbortController();
    post<LaunchCheck>("launch/check", JSON.parse(rested), stop.signal).then(
      setCheck,
      (error: unknown) => error instanceof RequestFailed && setFailed(error),
    );
    return () => stop.abort();
  }, [rested]);
  const problems = check?.problems ?? [];
  const choose = (next: RecipeForm) => {
    setName(next.name);
    setPreset(null);
    setAttempted(false);
    setQuery({ recipe: next.name });
    // What the other recipe does not know would be an error without a field.
    const known = new Set(next.groups.flatMap(({ knobs }) => knobs.map(({ key }) => key)));
    const kept = Object.fromEntries(Object.entries(values).filter(([key]) => known.has(key)));
    if (kept.out === suggestedOut(name, props)) kept.out = suggestedOut(next.name, props);
    if (next.name === "eval" || name === "eval") delete kept.data; // benchmarks here, rows there
    setValues(kept);
  };
  const set = (key: string, value: string | undefined) => {
    const next = { ...values };
    if (value === undefined || value === "") delete next[key];
    else next[key] = value;
    setValues(next);
  };
  const start = async () => {
    setFailed(undefined);
    setAttempted(true);
    if (problems.length > 0) {
      setFind("");
      const wrong = problems.find(({ key }) => key !== null)?.key;
      requestAnimationFrame(() => document.getElementById(`knob-${wrong}`)?.focus());
      return;
    }
    try {
      setStarted(await post<LaunchState>("launch/start", request));
      props.reload();
    } catch (error) {
      if (error instanceof RequestFailed) setFailed(error);
    }
  };
  if (recipe === undefined) return <Page title="Train">This build has no recipes.</Page>;
  if (started !== undefined) return <Started first={started} />;
  // A field that nobody has come to yet is not wrong, only open.
  const open = problems.filter(({ key, missing }) => missing && key !== null && !(key in values));
  const shown = attempted ? problems : problems.filter((problem) => !open.includes(problem));
  return (
    <Page
      title={resume === null ? "Train" : "Resume"}
      over={source && <a href={link("run", source.summary.id)}>{source.summary.id}</a>}
      lead={
        resume === null
          ? "Every setting of the recipe. What you leave open keeps what the preset or the default says."
          : "The run's own settings are kept; change what you give."
      }
    >
      <div class="fields">
        {resume === null && (
          <label>
            Recipe
            <select
              value={recipe.name}
              onChange={(event) => choose(recipes.find((one) => one.name === event.currentTarget.value)!)}
            >
              {recipes.map((one) => (
                <option key={one.name} value={one.name}>
                  {RECIPES[one.name] === undefined ? one.name : `${one.name}: ${RECIPES[one.name]}`}
                </option>
              ))}
            </select>
          </label>
        )}
        {resume === null && recipe.presets.length > 0 && (
          <label>
            Preset
            <select value={preset ?? ""} onChange={(event) => setPreset(event.currentTarget.value || null)}>
              <option value="">none</option>
              {recipe.presets.map((one) => (
                <option key={one.name} value={one.name}>
                  {one.name}
                </option>
              ))}
            </select>
          </label>
        )}
        <input
          type="search"
          placeholder="Find a setting"
          aria-label="Find a setting"
          value={find}
          onInput={(event) => setFind(event.currentTarget.value)}
        />
      </div>
      {problems
        .filter(({ key }) => key === null || !hasField(recipe, key))
        .map(({ text, fix }) => (
          <Note key={text} tone="bad">
            {text}. {fix}
          </Note>
        ))}
      <Fields
        recipe={recipe}
        preset={recipe.presets.find((one) => one.name === preset)?.values}
        values={values}
        effective={check?.effective ?? []}
        problems={shown}
        choices={choices}
        find={find}
        locked={resume === null ? [] : ["out", "model", "data"]}
        onSet={set}
      />
      {failed && <Failure of={failed} />}
      {recipe.plannable && resume === null && (
        <PlanPanel request={request} disabled={values.model === undefined || problems.length > open.length} />
      )}
      <div class="launch-bar">
        <pre class="command">{check?.command ?? ""}</pre>
        <CopyButton text={check?.command ?? ""} name="Copy command" />
        <button type="button" class="main" disabled={check === undefined} onClick={() => void start()}>
          {resume !== null ? "Resume" : recipe.name === "eval" ? "Start evaluation" : "Start training"}
        </button>
        <span class="soft" role="status">
          {shown.length > 0
            ? `${shown.length} ${shown.length === 1 ? "setting needs" : "settings need"} a look`
            : open.length > 0
              ? `still needed: ${open.map(({ key }) => key).join(", ")}`
              : recipe.name === "eval"
                ? "An interrupted evaluation goes on with the same folder."
                : "The same on the command line; Stop saves a checkpoint first."}
        </span>
      </div>
    </Page>
  );
}

function hasField({ groups }: RecipeForm, key: string): boolean {
  return groups.some(({ knobs }) => knobs.some((knob) => knob.key === key));
}
