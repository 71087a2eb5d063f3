// Shell patterns, as in `user_glob`: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]` or `[^abc]`; all else stands for itself.

/** The regular expression that matches the whole of what `glob` matches; a `[` without its `]` stands for itself. */
export function globToRegExp(glob: string): RegExp {
  let source = "";
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i]!;
    if (character === "*") source += "[^]*";
    else if (character === "?") source += "[^]";
    else if (character === "[") {
      const end = closing(glob, i);
      if (end === -1) source += "\\[";
      else {
        source += characterClass(glob.slice(i + 1, end));
        i = end;
      }
    } else source += literal(character);
  }
  return new RegExp(`^(?:${source})$`);
}

/** Where the class that opens at `open` closes: a `]` that is its first character belongs to it. */
function closing(glob: string, open: number): number {
  const first = glob[open + 1] === "!" || glob[open + 1] === "^" ? open + 2 : open + 1;
  return glob.indexOf("]", first + 1);
}

function characterClass(content: string): string {
  const not = content[0] === "!" || content[0] === "^";
  const members = (not ? content.slice(1) : content).replace(/[\\\]^[]/g, "\\$&");
  // A range that runs backwards would not compile: its three characters stand for themselves.
  const safe = members.replace(/([^\\])-([^\\])/g, (range, from: string, to: string) =>
    from <= to ? range : `${from}\\-${to}`,
  );
  return `[${not ? "^" : ""}${safe}]`;
}

function literal(character: string): string {
  return /[\\^$.|+(){}\]/-]/.test(character) ? `\\${character}` : character;
}
