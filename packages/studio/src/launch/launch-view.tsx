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
import { link, type Route, setQuery } from "../router.tsx";
import { Fields } from "./fields.tsx";
import { Started } from "./started.tsx";

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
      key={`${before} ${route.query.get("recipe")} ${route.query.get("data")}`}
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
      document.getElementById(`knob-${problems.find(({ key }) => key !== null)?.key}`)?.focus();
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
      {resume === null && (
        <div class="fields">
          <label>
            Recipe
            <select
              value={recipe.name}
              onChange={(event) => {
                setName(event.currentTarget.value);
                setPreset(null);
                setQuery({ recipe: event.currentTarget.value });
              }}
            >
              {recipes.map((one) => (
                <option key={one.name} value={one.name}>
                  {one.name}
                </option>
              ))}
            </select>
          </label>
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
        </div>
      )}
      {problems
        .filter(({ key }) => key === null)
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
        locked={resume === null ? [] : ["out", "model", "data"]}
        onSet={set}
      />
      {failed && <Failure of={failed} />}
      <div class="launch-bar">
        <pre class="command">{check?.command ?? ""}</pre>
        <button type="button" class="main" disabled={check === undefined} onClick={() => void start()}>
          {resume === null ? "Start training" : "Resume"}
        </button>
        <span class="soft" role="status">
          {shown.length > 0
            ? `${shown.length} ${shown.length === 1 ? "setting needs" : "settings need"} a look`
            : open.length > 0
              ? `still needed: ${open.map(({ key }) => key).join(", ")}`
              : "The same on the command line; Stop saves a checkpoint first."}
        </span>
      </div>
    </Page>
  );
}

/** From the run that is copied, from the data that was chosen, and a free folder. */
function startValues({
  choices,
  source,
  route,
  catalog,
}: Parameters<typeof Form>[0]): Record<string, string> {
  if (route.query.get("resume") !== null) return {};
  const own = (source?.settings ?? []).filter(({ isDefault, key }) => !isDefault && key !== "out");
  const values: Record<string, string> = Object.fromEntries(own.map(({ key, value }) => [key, value]));
  const data = choices.data.find(({ id }) => id === route.query.get("data"))?.path;
  if (data !== undefined) values.data = data;
  const model = choices.models.find(({ id }) => id === route.query.get("model"))?.path;
  if (model !== undefined) values.model = model;
  const recipe = source?.summary.recipe ?? route.query.get("recipe") ?? "sft";
  const taken = new Set(catalog.runs.map(({ id }) => id.split("/").at(-1)));
  let n = 1;
  while (taken.has(`${recipe}-${n}`)) n++;
  values.out = `${choices.out}/${recipe}-${n}`;
  return values;
}
