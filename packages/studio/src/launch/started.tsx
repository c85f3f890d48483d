import { useEffect } from "preact/hooks";
import { get, type LaunchState } from "../api.ts";
import { useEvery, useLoad } from "../hooks.ts";
import { Note, Page } from "../parts/blocks.tsx";
import { link } from "../router.tsx";

/** From the click to the run's own page: what the program says until there is a run, and why there will be none. */
export function Started({ first }: { first: LaunchState }) {
  const { value, reload } = useLoad(`launch ${first.id}`, (signal) =>
    get<LaunchState>(`launch/started/${first.id}`, {}, signal),
  );
  const now = value ?? first;
  useEvery(500, reload, now.running);
  const { run } = now;
  useEffect(() => {
    if (run !== null && now.running) location.hash = link("run", run);
  }, [run, now.running]);
  const failed = !now.running && now.exitCode !== 0;
  return (
    <Page
      title={
        !now.running
          ? failed
            ? "It did not start"
            : "Done"
          : now.evaluation === null
            ? "Starting"
            : "Evaluating"
      }
      lead={<code>{now.command}</code>}
    >
      {failed && <Note tone="bad">The program ended with code {now.exitCode}. What it said:</Note>}
      <pre class="log" role="log">
        {now.log}
      </pre>
      <div class="actions" style={{ marginTop: "1rem" }}>
        {run !== null && (
          <a class="button main" href={link("run", run)}>
            Go to the run
          </a>
        )}
        {now.evaluation !== null && (
          <a class="button main" href={link("evals", now.evaluation)}>
            Go to the evaluation
          </a>
        )}
      </div>
    </Page>
  );
}
