import type { Catalog } from "../api.ts";

/** Any model, checkpoint or adapter of the folders; those of a run under its name. */
export function ModelChoice(props: {
  label: string;
  catalog: Catalog;
  value: string;
  onChange: (id: string) => void;
  optional?: string;
}) {
  const { models } = props.catalog;
  const runs = [...new Set(models.map(({ run }) => run))];
  return (
    <label>
      {props.label}
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.optional !== undefined && <option value="">{props.optional}</option>}
        {runs.map((run) => {
          const own = models
            .filter((model) => model.run === run)
            .map(({ id, kind }) => (
              <option key={id} value={id}>
                {run === null ? id : id.slice(run.length + 1)}
                {kind === "adapter" ? " (adapter)" : ""}
              </option>
            ));
          return run === null ? (
            own
          ) : (
            <optgroup key={run} label={run}>
              {own}
            </optgroup>
          );
        })}
      </select>
    </label>
  );
}

/** A name short enough for a heading: the run and what of it. */
export function modelName(id: string): string {
  const parts = id.split("/");
  const last = parts.at(-1) ?? id;
  return last === "final" || last.startsWith("step-")
    ? parts
        .slice(last === "final" ? -2 : -3)
        .join("/")
        .replace("/checkpoints", "")
    : last;
}
