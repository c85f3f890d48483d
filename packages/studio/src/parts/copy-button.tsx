import { useState } from "preact/hooks";
import { useRested } from "../hooks.ts";

/** Puts a text on the clipboard, and says so for a moment. */
export function CopyButton({ text, name = "Copy" }: { text: string; name?: string }) {
  const [turn, setTurn] = useState({ count: 0, failed: false });
  const rested = useRested(turn.count, 1600);
  const copy = async () => {
    const failed = await navigator.clipboard.writeText(text).then(
      () => false,
      () => true,
    );
    setTurn(({ count }) => ({ count: count + 1, failed }));
  };
  const fresh = rested !== turn.count;
  return (
    <button type="button" class="bare" disabled={text === ""} onClick={() => void copy()}>
      <span role="status">{!fresh ? name : turn.failed ? "mark it and press Ctrl+C" : "copied"}</span>
    </button>
  );
}
