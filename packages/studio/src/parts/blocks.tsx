/** The small pieces that every view is made of. */
import type { ComponentChildren } from "preact";
import type { RequestFailed, RunStatus } from "../api.ts";

export function Page(props: {
  over?: ComponentChildren;
  title: ComponentChildren;
  actions?: ComponentChildren;
  lead?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <main class="page" id="page" tabIndex={-1}>
      <header>
        {props.over && <div class="over">{props.over}</div>}
        <div class="line">
          <h1>{props.title}</h1>
          {props.actions && <div class="actions">{props.actions}</div>}
        </div>
        {props.lead && <p class="lead">{props.lead}</p>}
      </header>
      {props.children}
    </main>
  );
}

/** A stretch of a page; with `margin` its heading stands beside it where there is room. */
export function Part(props: {
  title: ComponentChildren;
  note?: ComponentChildren;
  margin?: boolean;
  children: ComponentChildren;
}) {
  return (
    <section class={`part${props.margin ? " margin" : ""}`}>
      <h2>{props.title}</h2>
      {props.note && <p class="note-line">{props.note}</p>}
      <div class="body">{props.children}</div>
    </section>
  );
}

export function Figures(props: {
  of: readonly (readonly [name: string, value: ComponentChildren, unit?: string] | false)[];
}) {
  return (
    <dl class="figures">
      {props.of.map(
        (figure) =>
          figure && (
            <div key={figure[0]}>
              <dt>{figure[0]}</dt>
              <dd>
                {figure[1]}
                {figure[2] && <small>{figure[2]}</small>}
              </dd>
            </div>
          ),
      )}
    </dl>
  );
}

const STATUS: Record<RunStatus, string> = {
  running: "running",
  completed: "complete",
  interrupted: "interrupted",
  failed: "failed",
  cut: "cut off",
  empty: "empty",
  newer: "newer version",
  broken: "unreadable",
};

export function Status({ of }: { of: RunStatus }) {
  return <span class={`status ${of}`}>{STATUS[of]}</span>;
}

export function Note(props: { tone?: "good" | "warn" | "bad"; children: ComponentChildren }) {
  return <div class={`note ${props.tone ?? ""}`}>{props.children}</div>;
}

/** What, where and how to mend it, as the command line says it. */
export function Failure({
  of,
}: {
  of:
    | RequestFailed
    | { message: string; body?: { code: string; message: string; where?: string; fix?: string } };
}) {
  const body = of.body ?? { code: "", message: of.message, where: undefined, fix: undefined };
  return (
    <div class="note bad" role="alert">
      {body.message}
      {(body.where || body.fix) && (
        <pre>
          {[body.where && `where: ${body.where}`, body.fix && `fix:   ${body.fix}`]
            .filter(Boolean)
            .join("\n")}
        </pre>
      )}
    </div>
  );
}

export function Tabs(props: {
  label: string;
  tabs: readonly { key: string; name: string; count?: number | undefined; href: string }[];
  current: string;
}) {
  return (
    <nav class="tabs" aria-label={props.label}>
      {props.tabs.map(({ key, name, count, href }) => (
        <a key={key} href={href} aria-current={key === props.current ? "page" : undefined}>
          {name}
          {count !== undefined && <small>{count.toLocaleString("en")}</small>}
        </a>
      ))}
    </nav>
  );
}

/** Losses as a line a few letters high; red marks where one was not a number. */
export function Spark({ of }: { of: readonly (number | null)[] }) {
  const finite = of.filter((value) => value !== null);
  if (of.length < 2) return <svg class="spark" aria-hidden="true" />;
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const x = (i: number) => (i / (of.length - 1)) * 100;
  const y = (value: number) => (high === low ? 10 : 19 - ((value - low) / (high - low)) * 18);
  let open = false;
  const path = of
    .map((value, i) => {
      if (value === null) {
        open = false;
        return "";
      }
      const command = open ? "L" : "M";
      open = true;
      return `${command}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    })
    .join("");
  return (
    <svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">
      {of.map((value, i) => value === null && <line key={i} x1={x(i)} x2={x(i)} y1="0" y2="20" />)}
      <path d={path} />
    </svg>
  );
}

export function Bar({ share, tint = 1 }: { share: number; tint?: number }) {
  const width = `${(Math.min(1, Math.max(0, share)) * 100).toFixed(2)}%`;
  return (
    <span class={`bar t${tint}`} aria-hidden="true">
      {share > 0 && <i style={{ width }} />}
    </span>
  );
}
