/**
 * A list of any length of which only what is in sight exists. Arrow keys, page keys, Home and End move; Enter opens. Rows come
 * in pages, and a page that is on its way leaves its place empty.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const ROW = 30;
/** Rows that are asked for at once. */
export const PAGE = 100;
/** Browsers stop drawing elements higher than this; a longer list is scrolled in proportion. */
const HIGHEST = 12_000_000;

export interface VirtualListProps<T> {
  label: string;
  total: number;
  height: number;
  /** Changes when other rows are meant: the list starts at its top again. */
  question: string;
  /** Changes when there are more of the same rows: they are loaded again, and the place in the list is kept. */
  version?: string;
  /** The first page, which came with the answer that said how many there are. */
  first: T[];
  load(offset: number, limit: number, signal: AbortSignal): Promise<T[]>;
  row(item: T, index: number): ComponentChildren;
  columns: string;
  selected: number | undefined;
  onOpen(item: T, index: number): void;
}

export function VirtualList<T>(props: VirtualListProps<T>) {
  const { total, height, question, selected } = props;
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [at, setAt] = useState(0);
  const [, setTurn] = useState(0);
  const pages = useRef(new Map<number, T[] | "loading">());
  /** Meant to be opened as soon as it is there. */
  const wished = useRef<number>(undefined);
  const latest = useRef(props);
  latest.current = props;

  const full = Math.min(HIGHEST, total * ROW);
  const scale = total * ROW <= HIGHEST ? 1 : (total * ROW - height) / (HIGHEST - height);
  const visible = Math.ceil(height / ROW) + 2;
  const first = Math.max(0, Math.min(total - 1, Math.floor((top * scale) / ROW)));
  const shown = Array.from({ length: Math.max(0, Math.min(visible, total - first)) }, (_, i) => first + i);

  useLayoutEffect(() => {
    pages.current = new Map(props.first.length > 0 ? [[0, props.first]] : []);
    setTurn((n) => n + 1);
  }, [question, props.version]);
  useLayoutEffect(() => {
    setAt(0);
    setTop(0);
    if (box.current !== null) box.current.scrollTop = 0;
  }, [question]);

  useEffect(() => {
    const stop = new AbortController();
    const mine = pages.current;
    const wanted = new Set([Math.floor(first / PAGE), Math.floor((first + visible) / PAGE)]);
    for (const page of wanted) {
      if (mine.has(page) || page * PAGE >= Math.max(1, total)) continue;
      mine.set(page, "loading");
      latest.current.load(page * PAGE, PAGE, stop.signal).then(
        (items) => {
          mine.set(page, items);
          setTurn((n) => n + 1);
          const wish = (wished.current ?? -1) - page * PAGE;
          if (mine !== pages.current || items[wish] === undefined) return;
          latest.current.onOpen(items[wish], wished.current!);
          wished.current = undefined;
        },
        () => mine.delete(page),
      );
    }
    return () => stop.abort();
  }, [Math.floor(first / PAGE), Math.floor((first + visible) / PAGE), question, props.version, total]);

  const item = (index: number): T | undefined => {
    const page = pages.current.get(Math.floor(index / PAGE));
    return page === undefined || page === "loading" ? undefined : page[index % PAGE];
  };
  const open = (index: number) => {
    setAt(index);
    const one = item(index);
    wished.current = one === undefined ? index : undefined;
    if (one !== undefined) props.onOpen(one, index);
  };
  const onKey = (event: KeyboardEvent) => {
    const page = visible - 3;
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: total - 1,
    };
    if (event.key === "Enter") open(at);
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    wished.current = undefined;
    const next = Math.max(0, Math.min(total - 1, to));
    setAt(next);
    const y = (next * ROW) / scale;
    const element = box.current!;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + ROW > element.scrollTop + height) element.scrollTop = y + ROW - height;
  };
  return (
    <div
      class="list"
      ref={box}
      style={{ height: `${Math.min(height, Math.max(ROW, full))}px` }}
      role="listbox"
      tabIndex={0}
      aria-label={props.label}
      aria-activedescendant={`row-${at}`}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKey}
    >
      <div style={{ height: `${full}px` }} />
      {shown.map((index) => {
        const one = item(index);
        const y = scale === 1 ? index * ROW : top + (index - first) * ROW;
        return (
          // biome-ignore lint/a11y/useFocusableInteractive lint/a11y/useKeyWithClickEvents: the list has the focus and the keys; `aria-activedescendant` tells which row is meant
          <div
            key={index}
            id={`row-${index}`}
            class={`row ${props.columns}`}
            style={{ top: `${y}px`, height: `${ROW}px` }}
            role="option"
            aria-selected={index === (selected ?? at)}
            aria-posinset={index + 1}
            aria-setsize={total}
            onClick={() => open(index)}
          >
            {one === undefined ? <span class="soft">…</span> : props.row(one, index)}
          </div>
        );
      })}
    </div>
  );
}
