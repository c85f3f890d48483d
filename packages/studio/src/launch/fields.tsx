import type { FormKnob, LaunchCheck, LaunchChoices, RecipeForm, RowKind } from "../api.ts";

interface FieldsProps {
  recipe: RecipeForm;
  preset: Record<string, string> | undefined;
  values: Record<string, string>;
  effective: LaunchCheck["effective"];
  problems: LaunchCheck["problems"];
  choices: LaunchChoices;
  locked: string[];
  /** Words of the settings to show; empty for all. */
  find: string;
  onSet(key: string, value: string | undefined): void;
}

/** The first groups stand open; the others show what was changed in them. */
const OPEN = new Set([
  "Model and data",
  "What to evaluate",
  "Batch and length",
  "Optimizer and schedule",
  "Preferences",
]);

export function Fields(props: FieldsProps) {
  return (
    <>
      {props.recipe.groups.map(({ name, knobs }) => {
        const shown = knobs.filter((knob) => !props.locked.includes(knob.key) && isMeant(knob, props.find));
        const touched = shown.filter(
          ({ key }) => key in props.values || props.problems.some((problem) => problem.key === key),
        );
        if (shown.length === 0) return null;
        return (
          <details key={name} class="knobs" open={OPEN.has(name) || touched.length > 0 || props.find !== ""}>
            <summary>
              <h2>{name}</h2>
              <span class="soft">{touched.length > 0 ? `${touched.length} set` : ""}</span>
            </summary>
            <div class="knob-grid">
              {shown.map((knob) => (
                <Field key={knob.key} knob={knob} {...props} />
              ))}
            </div>
          </details>
        );
      })}
    </>
  );
}

function isMeant({ key, flag, help }: FormKnob, find: string): boolean {
  return `${key} ${flag} ${help}`.toLowerCase().includes(find.toLowerCase());
}

function Field({ knob, ...props }: FieldsProps & { knob: FormKnob }) {
  const { key, help, accepts, required } = knob;
  const problem = props.problems.find((one) => one.key === key);
  const given = props.values[key];
  const { value: fallback, origin } = fallbackOf(knob, props);
  const id = `knob-${key}`;
  const describedBy = `${id}-help${problem ? ` ${id}-problem` : ""}`;
  const common = { id, "aria-describedby": describedBy, "aria-invalid": problem !== undefined };
  const set = (value: string) => props.onSet(key, value);
  return (
    <div class={`knob${problem ? " wrong" : ""}${given !== undefined ? " set" : ""}`}>
      <label for={id}>
        {key}
        {required && <span class="soft"> required</span>}
      </label>
      {knob.input === "boolean" ? (
        <select {...common} value={given ?? ""} onChange={(event) => set(event.currentTarget.value)}>
          <option value="">{fallback === null ? "" : `${fallback} (${origin})`}</option>
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      ) : knob.input === "choice" ? (
        <select {...common} value={given ?? ""} onChange={(event) => set(event.currentTarget.value)}>
          <option value="">{fallback === null ? "" : `${fallback} (${origin})`}</option>
          {knob.choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : (
        <input
          {...common}
          type="text"
          inputMode={knob.input === "number" ? "decimal" : "text"}
          value={given ?? ""}
          placeholder={fallback ?? ""}
          list={suggestions(key, props).length > 0 ? `${id}-list` : ""}
          onInput={(event) => set(event.currentTarget.value)}
        />
      )}
      {suggestions(key, props).length > 0 && (
        <datalist id={`${id}-list`}>
          {suggestions(key, props).map((path) => (
            <option key={path} value={path} />
          ))}
        </datalist>
      )}
      {problem && (
        <p class="problem" id={`${id}-problem`} role="alert">
          {problem.text}
          {problem.fix && `; ${problem.fix}`}
        </p>
      )}
      <p class="help" id={`${id}-help`}>
        {help} {!/^text(, or none)?$/.test(accepts) && <span>({accepts})</span>}
      </p>
    </div>
  );
}

/** What holds when the field is left open, and who says so. */
function fallbackOf(
  knob: FormKnob,
  { preset, effective, values }: FieldsProps,
): { value: string | null; origin: string } {
  const now = effective.find(({ key }) => key === knob.key);
  if (now !== undefined && !(knob.key in values)) return { value: now.value, origin: now.origin };
  const said = preset?.[knob.key];
  if (said !== undefined) return { value: said, origin: "preset" };
  return { value: knob.default, origin: "default" };
}

/** Rows that a recipe can train on; of an evaluation `data` is a folder of benchmarks. */
const KINDS: Record<string, RowKind[]> = {
  sft: ["conversations", "other"],
  dpo: ["pairs", "other"],
  reward: ["pairs", "other"],
  kto: ["conversations", "pairs", "other"],
  eval: [],
};

function suggestions(key: string, { choices, recipe }: FieldsProps): string[] {
  if (key === "model" || key === "teacher") return choices.models.map(({ path }) => path);
  if (key === "samplePrompts" || key === "evalData") return choices.data.map(({ path }) => path);
  const kinds = KINDS[recipe.name] ?? ["conversations", "pairs", "other"];
  return key === "data"
    ? choices.data.filter(({ kind }) => kinds.includes(kind)).map(({ path }) => path)
    : [];
}
