/** One conversation with one model. */
import { useRef, useState } from "preact/hooks";
import type { AnswerPiece, ApiError } from "../api.ts";
import { streamLines } from "../stream.ts";
import type { DecodingSettings } from "./decoding.tsx";

export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
  /** What to say below an answer. */
  note?: string;
  error?: ApiError["error"];
}

export interface Conversation {
  turns: Turn[];
  busy: boolean;
  ask(model: string, text: string, system: string, decoding: DecodingSettings): Promise<void>;
  stop(): void;
  clear(): void;
}

export function useConversation(): Conversation {
  const [turns, setTurns] = useState<Turn[]>([]);
  const [busy, setBusy] = useState(false);
  const stopper = useRef<AbortController | undefined>(undefined);
  const ask = async (
    model: string,
    text: string,
    system: string,
    decoding: DecodingSettings,
  ): Promise<void> => {
    const before = turns.filter(
      ({ error, content, role }) => error === undefined && (role !== "assistant" || content !== ""),
    );
    const asked: Turn[] = [...before, { role: "user", content: text }];
    let answer: Turn = { role: "assistant", content: "" };
    const show = (change: Partial<Turn>) => {
      answer = { ...answer, ...change };
      setTurns([...asked, answer]);
    };
    const messages = [
      ...(system === "" ? [] : [{ role: "system" as const, content: system }]),
      ...asked.map(({ role, content }) => ({ role, content })),
    ];
    stopper.current = new AbortController();
    setBusy(true);
    show({ note: "…" });
    try {
      for await (const piece of streamLines<AnswerPiece>(
        "answers",
        { model, messages, ...decoding },
        stopper.current.signal,
      ))
        show(change(answer, piece));
    } catch (error) {
      if ((error as Error).name === "AbortError") show({ note: "stopped" });
      else show({ error: { code: "ERR_ANSWER", message: (error as Error).message }, note: "" });
    }
    setBusy(false);
  };
  return { turns, busy, ask, stop: () => stopper.current?.abort(), clear: () => setTurns([]) };
}

function change(answer: Turn, piece: AnswerPiece): Partial<Turn> {
  switch (piece.kind) {
    case "loading":
      return { note: "loading the model …" };
    case "text":
      return { content: answer.content + piece.text, note: "…" };
    case "done": {
      const speed = piece.ms > 0 ? `, ${Math.round((1000 * piece.tokens) / piece.ms)} tokens/s` : "";
      return {
        note: `${piece.tokens} tokens${speed}${piece.finishReason === "length" ? ", cut at the limit" : ""}`,
      };
    }
    case "error":
      return { error: piece.error, note: "" };
  }
}
