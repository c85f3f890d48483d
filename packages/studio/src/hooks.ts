import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { RequestFailed } from "./api.ts";

export interface Loaded<T> {
  value: T | undefined;
  /** The key that `value` was loaded for; while another loads it is the one before. */
  of: string;
  error: RequestFailed | undefined;
  reload(): void;
}

/** Loads when `key` changes; what was there stays until the new answer is. An empty key loads nothing. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string; value: T | undefined; error: RequestFailed | undefined }>(
    {
      key: "",
      value: undefined,
      error: undefined,
    },
  );
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (key === "") return;
    const stop = new AbortController();
    latest.current(stop.signal).then(
      (value) => !stop.signal.aborted && setState({ key, value, error: undefined }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        const shown =
          error instanceof RequestFailed
            ? error
            : new RequestFailed(0, { code: "ERR_PAGE", message: String(error) });
        setState((before) => ({ key, value: before.key === key ? before.value : undefined, error: shown }));
      },
    );
    return () => stop.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { value: state.value, of: state.key, error: state.error, reload };
}

/** Calls again and again while the page is looked at. */
export function useEvery(ms: number, work: () => void, active = true): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => document.visibilityState === "visible" && latest.current(), ms);
    return () => clearInterval(timer);
  }, [ms, active]);
}

/** Width of an element in CSS pixels, followed as it changes. */
export function useWidth<E extends HTMLElement>(): [(element: E | null) => void, number] {
  const [width, setWidth] = useState(0);
  const observer = useRef<ResizeObserver>(undefined);
  const attach = useCallback((element: E | null) => {
    observer.current?.disconnect();
    if (element === null) return;
    setWidth(element.clientWidth);
    observer.current = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.current.observe(element);
  }, []);
  return [attach, width];
}

/** The value as it was once it has rested for a moment. */
export function useRested<T>(value: T, ms: number): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return rested;
}

/** A choice kept in the browser. */
export function useKept(name: string, fallback: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => localStorage.getItem(`camelid-${name}`) ?? fallback);
  const keep = (next: string) => {
    localStorage.setItem(`camelid-${name}`, next);
    setValue(next);
  };
  return [value, keep];
}
