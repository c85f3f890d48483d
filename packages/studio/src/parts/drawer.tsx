import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/**
 * One thing looked at closely, beside the page. Escape closes it, J and K go to the next and the one before; focus goes in and
 * comes back.
 */
export function Drawer(props: {
  title: ComponentChildren;
  label: string;
  /** What `before` and `next` lead to, for readers of the buttons. */
  what?: string;
  /** Undefined at either end. */
  before?: (() => void) | undefined;
  next?: (() => void) | undefined;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const panel = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    panel.current?.focus();
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") latest.current.onClose();
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test((event.target as HTMLElement).tagName)) return;
      if (event.key === "j") latest.current.next?.();
      if (event.key === "k") latest.current.before?.();
    };
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("keydown", onKey);
      before?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <div class="drawer" role="dialog" aria-label={props.label} tabIndex={-1} ref={panel}>
      <header>
        <h2>{props.title}</h2>
        <div class="actions">
          {props.what !== undefined && (
            <>
              <Go to={props.before} name={`Before: ${props.what}`} sign="←" letter="K" />
              <Go to={props.next} name={`Next ${props.what}`} sign="→" letter="J" />
            </>
          )}
          <button type="button" class="bare" onClick={props.onClose} aria-label="Close">
            close <kbd>esc</kbd>
          </button>
        </div>
      </header>
      <div class="body">{props.children}</div>
    </div>
  );
}

function Go(props: { to: (() => void) | undefined; name: string; sign: string; letter: string }) {
  return (
    <button
      type="button"
      class="bare"
      disabled={props.to === undefined}
      onClick={props.to}
      aria-label={props.name}
      title={`${props.name} (${props.letter})`}
    >
      {props.sign}
    </button>
  );
}
