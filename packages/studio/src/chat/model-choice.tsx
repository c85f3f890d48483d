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
        {props.value !== "" && !models.some(({ id }) => id === props.value) && (
          <option value={props.value}>{props.value} (not there)</option>
        )}
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

/** Names short enough for a heading, and long enough that no two are the same: `first/final`, `first/step-200`. */
export function modelNames(ids: readonly string[]): string[] {
  const different = new Set(ids);
  const parts = (id: string) => id.replace("/checkpoints/", "/").split("/");
  const named = (id: string, length: number) => parts(id).slice(-length).join("/");
  return ids.map((id) => {
    const own = /^(final|step-\d+)$/.test(parts(id).at(-1)!) ? 2 : 1;
    for (let length = own; length < parts(id).length; length++) {
      const alike = [...different].filter(
        (other) => other.endsWith(named(id, length)) || named(other, length) === named(id, length),
      );
      if (alike.length === 1) return named(id, length);
    }
    return id;
  });
}
