/**
 * Text that a terminal only shows. A model may write whatever its training data held: an escape sequence could move the cursor, change
 * the window's title or fill the clipboard.
 */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, "\uFFFD");
}

/** C0 and C1 but for line feed and tab. */
const CONTROLS = /[^\P{Cc}\n\t]/gu;
