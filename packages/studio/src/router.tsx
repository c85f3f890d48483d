/** Addresses are the part after `#`: they can be kept, shared and gone back to, and the server never sees them. */
import { useEffect, useMemo, useState } from "preact/hooks";

export interface Route {
  /** First part: which view. */
  view: string;
  /** The rest, decoded. */
  id: string;
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/");
  return { view: view || "runs", id: decode(rest.join("/")), query: new URLSearchParams(search) };
}

export function link(view: string, id = "", query: Record<string, string | undefined> = {}): string {
  const words = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "",
  );
  const search = new URLSearchParams(words).toString();
  const path = id.split("/").map(encodeURIComponent).join("/");
  return `#/${view}${id === "" ? "" : `/${path}`}${search === "" ? "" : `?${search}`}`;
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    addEventListener("hashchange", follow);
    follow(); // it may have changed before this was listening
    return () => removeEventListener("hashchange", follow);
  }, []);
  return useMemo(() => parseRoute(hash), [hash]);
}

/** Changes some words of the address's query; `replace` leaves no step to go back to. */
export function setQuery(changes: Record<string, string | undefined>, replace = true): void {
  const { view, id, query } = parseRoute(location.hash);
  const next = { ...Object.fromEntries(query), ...changes };
  const address = link(view, id, next);
  if (replace) {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = address;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
