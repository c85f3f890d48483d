/**
 * Python's text rules where JavaScript's differ, so that rows equal the original's byte for byte.
 */

/** `str.isspace` for one UTF-16 unit: U+001C..U+001F and U+0085 count, U+FEFF does not (unlike `String.trim`). */
function isPythonSpace(unit: number): boolean {
  if (unit <= 0x20) return (unit >= 0x09 && unit <= 0x0d) || (unit >= 0x1c && unit <= 0x20);
  if (unit < 0x85) return false;
  return (
    unit === 0x85 ||
    unit === 0xa0 ||
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}

/** `str.strip()` */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isPythonSpace(text.charCodeAt(start))) start++;
  while (end > start && isPythonSpace(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** `str.rstrip()` */
export function rstrip(text: string): string {
  let end = text.length;
  while (end > 0 && isPythonSpace(text.charCodeAt(end - 1))) end--;
  return end === text.length ? text : text.slice(0, end);
}

/** A string as `json.dumps` writes it with its defaults: everything outside printable ASCII becomes `\uXXXX`. */
export function jsonString(text: string): string {
  const json = JSON.stringify(text); // already escapes quotes, backslashes, C0 controls and lone surrogates alike
  return NOT_PRINTABLE_ASCII.test(json) ? json.replace(EACH_NOT_PRINTABLE_ASCII, escapeUnit) : json;
}

const NOT_PRINTABLE_ASCII = /[\x7f-\uffff]/;
const EACH_NOT_PRINTABLE_ASCII = /[\x7f-\uffff]/g;
const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
