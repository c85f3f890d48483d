import { useEffect, useState } from "preact/hooks";
import { type PlanReply, post, RequestFailed } from "../api.ts";
import { CopyButton } from "../parts/copy-button.tsx";

/** Memory and time before anything is started: the words of `camelid plan`. What was said of other settings is told as such. */
export function PlanPanel({ request, disabled }: { request: object; disabled: boolean }) {
  const now = JSON.stringify(request);
  const [asked, setAsked] = useState<string>();
  const [plan, setPlan] = useState<{ of: string; reply: PlanReply }>();
  useEffect(() => {
    if (asked === undefined) return;
    const stop = new AbortController();
    post<PlanReply>("launch/plan", JSON.parse(asked), stop.signal)
      .catch((error: unknown): PlanReply | undefined => {
        if (error instanceof RequestFailed) return { failed: true, text: error.message, command: "" };
        return undefined; // left
      })
      .then((reply) => {
        if (stop.signal.aborted || reply === undefined) return;
        setPlan({ of: asked, reply });
        setAsked(undefined);
      });
    return () => stop.abort();
  }, [asked]);
  return (
    <section class="plan" aria-label="Plan">
      <div class="actions">
        <button type="button" disabled={disabled || asked !== undefined} onClick={() => setAsked(now)}>
          {asked !== undefined ? "Measuring …" : "Memory and time"}
        </button>
        <span class="soft" role="status">
          {asked !== undefined
            ? "Passes through layers of this shape, a few seconds."
            : disabled
              ? "Once model and data are chosen."
              : plan !== undefined && plan.of !== now
                ? "The settings have changed since."
                : "What it will take, before it starts."}
        </span>
      </div>
      {plan && (
        <>
          <pre class={`log${plan.of === now ? "" : " old"}`} role={plan.reply.failed ? "alert" : undefined}>
            {plan.reply.text}
          </pre>
          {plan.reply.command !== "" && (
            <p class="copied-line">
              <code class="soft">{plan.reply.command}</code> <CopyButton text={plan.reply.command} />
            </p>
          )}
        </>
      )}
    </section>
  );
}
