import { get, part, post, type RunDetail } from "../api.ts";
import { bytes, compact, count, duration, moment, number, splitId } from "../format.ts";
import { useEvery, useLoad } from "../hooks.ts";
import { Failure, Figures, Note, Page, Part, Status } from "../parts/blocks.tsx";
import { link, type Route, setQuery } from "../router.tsx";
import { Curves } from "./curves.tsx";
import { Samples } from "./samples.tsx";
import { StepDrawer } from "./step-drawer.tsx";

/** One run: what became of it, its curves, what it said, what it was told. */
export function RunView({ route }: { route: Route }) {
  const { id } = route;
  const {
    value: run,
    error,
    reload,
  } = useLoad(`run ${id}`, (signal) => get<RunDetail>(`runs/${part(id)}`, {}, signal));
  const goesOn = run === undefined || run.summary.status === "running" || run.summary.status === "empty";
  useEvery(goesOn ? 1500 : 5000, reload); // one that has ended may be resumed
  const step = route.query.get("step");
  const { name, folder } = splitId(id);
  const over = (
    <>
      <a href={link("runs")}>Runs</a> <span>{folder}</span>
    </>
  );
  if (run === undefined)
    return (
      <Page over={over} title={name}>
        {error ? <Failure of={error} /> : <div aria-busy="true" />}
      </Page>
    );
  const { summary } = run;
  return (
    <Page over={over} title={name} actions={<Actions run={run} reload={reload} />} lead={<Lead run={run} />}>
      {run.error && (
        <Note tone="bad">
          {run.error.message} {run.error.code && <code>{run.error.code}</code>}
        </Note>
      )}
      {run.notes.map((note) => (
        <Note key={note} tone="warn">
          {note}
        </Note>
      ))}
      <Figures
        of={[
          ["loss", number(summary.loss)],
          ["step", count(summary.step), summary.totalSteps === null ? "" : `of ${count(summary.totalSteps)}`],
          ["trained tokens", compact(run.trainedTokens)],
          run.tokensPerSecond !== null && ["throughput", count(run.tokensPerSecond), "tokens/s"],
          run.durationMs !== null && ["took", duration(run.durationMs)],
          summary.status === "running" && remaining(run) !== undefined && ["about", remaining(run)!, "left"],
        ]}
      />
      <Curves id={id} steps={summary.step} onStep={(n) => setQuery({ step: String(n) })} />
      {run.warnings.length > 0 && (
        <Part title="Warnings" margin>
          {run.warnings.slice(0, 30).map((warning, i) => (
            <Note key={i} tone="warn">
              {warning.step !== null && (
                <a href={link("run", id, { step: String(warning.step) })}>step {count(warning.step)}</a>
              )}{" "}
              {warning.message}
            </Note>
          ))}
        </Part>
      )}
      {run.samples.length > 0 && <Samples run={run} />}
      <Settings run={run} />
      {run.checkpoints.length > 0 && <Checkpoints run={run} />}
      {step !== null && (
        <StepDrawer id={id} step={Number(step)} last={summary.step} row={route.query.get("row")} />
      )}
    </Page>
  );
}

function Lead({ run: { summary, resumes } }: { run: RunDetail }) {
  return (
    <>
      <Status of={summary.status} /> · {summary.recipe} of {summary.model ?? "?"} on {summary.data ?? "?"} ·
      began {moment(summary.startedAt)}
      {resumes.length > 0 &&
        ` · resumed ${resumes.map(({ fromStep }) => `from step ${count(fromStep)}`).join(", ")}`}
    </>
  );
}

function Actions({ run, reload }: { run: RunDetail; reload: () => void }) {
  const { id } = run.summary;
  const stop = async () => {
    await post(`runs/${part(id)}/stop`, {}).catch(() => {});
    reload();
  };
  return (
    <>
      {run.canStop && (
        <button type="button" onClick={() => void stop()}>
          Stop and save
        </button>
      )}
      {run.canResume && (
        <a
          class={`button${run.summary.status === "failed" ? "" : " main"}`}
          href={link("train", "", { resume: id })}
        >
          Resume
        </a>
      )}
      <a class="button" href={link("train", "", { from: id })}>
        New run like this
      </a>
      <a class="button" href={`/api/runs/${part(id)}/report.html`} target="_blank" rel="noreferrer">
        Report
      </a>
      <a
        class="button"
        href={`/api/runs/${part(id)}/report.html?save=1`}
        title="One HTML file that opens anywhere, without a server"
      >
        Save as a file
      </a>
    </>
  );
}

/** From the steps so far; a forecast, not a promise. */
function remaining({ summary }: RunDetail): string | undefined {
  if (summary.startedAt === null || summary.totalSteps === null || summary.step < 3) return undefined;
  const passed = Date.now() - new Date(summary.startedAt).getTime();
  return duration((passed / summary.step) * (summary.totalSteps - summary.step));
}

function Settings({ run }: { run: RunDetail }) {
  const own = run.settings.filter(({ isDefault }) => !isDefault);
  const rest = run.settings.filter(({ isDefault }) => isDefault);
  return (
    <Part title="Settings" margin note="As they took effect. What someone chose comes first.">
      <SettingsTable of={own} />
      {rest.length > 0 && (
        <details>
          <summary class="soft">{rest.length} defaults</summary>
          <SettingsTable of={rest} />
        </details>
      )}
      {Object.keys(run.environment).length > 0 && (
        <details>
          <summary class="soft">versions and machine</summary>
          <dl class="pairs">
            {Object.entries(run.environment).map(([key, value]) => (
              <>
                <dt>{key}</dt>
                <dd>{String(value)}</dd>
              </>
            ))}
          </dl>
        </details>
      )}
    </Part>
  );
}

function SettingsTable({ of }: { of: RunDetail["settings"] }) {
  return (
    <table>
      <tbody>
        {of.map(({ key, value, origin }) => (
          <tr key={key}>
            <td class="soft">{key}</td>
            <td class="text">{value}</td>
            <td class="soft">{origin}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Checkpoints({ run }: { run: RunDetail }) {
  return (
    <Part title="Saved" margin>
      <table>
        <tbody>
          {run.checkpoints.map(({ step, path, sizeBytes, time }) => (
            <tr key={`${path} ${time}`}>
              <td class="num">step {count(step)}</td>
              <td>
                <a href={link("chat", "", { a: `${run.summary.id}/${path}` })}>{path}</a>
              </td>
              <td class="num soft">{sizeBytes === null ? "" : bytes(sizeBytes)}</td>
              <td class="soft">{moment(time)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Part>
  );
}
