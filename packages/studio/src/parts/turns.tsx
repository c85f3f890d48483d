import { useState } from "preact/hooks";
import type { RowSide } from "../api.ts";

/** Messages as they were said; of a very long conversation the beginning first. */
export function Turns({ side }: { side: Pick<RowSide, "messages"> }) {
  const [all, setAll] = useState(false);
  const shown = all ? side.messages : side.messages.slice(0, 40);
  return (
    <>
      {shown.map(({ role, content }, i) => (
        <div key={i} class={`turn ${role}`}>
          <h3>{role}</h3>
          <p>{content === "" ? <span class="soft">(empty)</span> : content}</p>
        </div>
      ))}
      {shown.length < side.messages.length && (
        <button type="button" onClick={() => setAll(true)}>
          {side.messages.length - shown.length} more turns
        </button>
      )}
    </>
  );
}
