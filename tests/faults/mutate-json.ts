/** Values that readers of JSON forget: of other kinds, at limits, and names that reach an object's prototype. */
const ODD_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 0.5, 1e308, -1e308, 2 ** 31, 2 ** 53, -0],
  ...["", "x", "__proto__", "NaN", "\0", "\ud800", "é".repeat(300), "{{ x }}"],
  ...[[], [[]], [null], {}, { x: null }, JSON.parse('{"__proto__": {"polluted": true}}')],
];
const ODD_KEYS = ["__proto__", "constructor", "toString", "length", "", "0", "x"];

/** A copy with one to four changes inside the tree: values exchanged, removed, moved elsewhere, keys added. */
export function mutateJson(original: unknown, random: (below: number) => number): unknown {
  let tree = structuredClone(original);
  for (let count = 1 + random(4); count > 0; count--) {
    const places = placesOf(tree);
    const place = places[random(places.length)]!;
    const parent = place.parent as Record<string, unknown> | undefined;
    switch (random(5)) {
      case 0:
      case 1: {
        const value = structuredClone(ODD_VALUES[random(ODD_VALUES.length)]);
        if (parent === undefined) tree = value;
        else parent[place.key] = value;
        break;
      }
      case 2:
        if (Array.isArray(parent)) parent.splice(Number(place.key), 1);
        else if (parent !== undefined) delete parent[place.key];
        break;
      case 3: {
        const other = structuredClone(places[random(places.length)]!.value);
        if (parent !== undefined) parent[place.key] = other;
        break;
      }
      case 4:
        if (Array.isArray(place.value)) place.value.push(structuredClone(place.value[0] ?? null));
        else if (typeof place.value === "object" && place.value !== null) {
          const key = ODD_KEYS[random(ODD_KEYS.length)]!;
          Object.defineProperty(place.value, key, {
            value: structuredClone(ODD_VALUES[random(ODD_VALUES.length)]), // a shared one would be changed later
            enumerable: true,
            configurable: true,
            writable: true,
          });
        }
        break;
    }
  }
  return tree;
}

interface Place {
  parent: object | undefined;
  key: string;
  value: unknown;
}

/** Large tables (a vocabulary) are sampled: else nearly every change would fall into them. */
const MAX_CHILDREN = 12;

function placesOf(tree: unknown): Place[] {
  const places: Place[] = [{ parent: undefined, key: "", value: tree }];
  for (let i = 0; i < places.length && places.length < 2000; i++) {
    const { value } = places[i]!;
    if (typeof value !== "object" || value === null) continue;
    for (const [key, child] of Object.entries(value).slice(0, MAX_CHILDREN)) {
      places.push({ parent: value, key, value: child });
    }
  }
  return places;
}
