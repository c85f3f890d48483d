import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** One thing looked at closely, beside the page. Escape closes it; focus goes in and comes back. */
export function Drawer(props: {
  title: ComponentChildren;
  label: string;
  actions?: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const panel = useRef<HTMLDivElement>(null);
  const close = useRef(props.onClose);
  close.current = props.onClose;
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    panel.current?.focus();
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && close.current();
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
          {props.actions}
          <button type="button" class="bare" onClick={props.onClose} aria-label="Close">
            close <kbd>esc</kbd>
          </button>
        </div>
      </header>
      <div class="body">{props.children}</div>
    </div>
  );
}
