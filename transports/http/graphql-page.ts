// A page to try GraphQL queries in: one file, nothing from elsewhere. The browser asks for the credentials.

import type { Audience } from "../../core/operations.ts";

/** HTML of the page for a schema; it sends queries to its own address. */
export const queryPage = (audience: Audience): string => PAGE.replace("QUERY", FIRST[audience]);

/** What stands in the page to begin with. */
const FIRST: Readonly<Record<Audience, string>> = {
  admin: "{ checkAuth { authStatus authType } }",
  user: "{ checkAuth { authStatus username } }",
};

const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>MongooseIM GraphiQL</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
  body { margin: 0 auto; max-width: 80rem; padding: 1rem; display: grid; gap: .75rem; grid-template-columns: 1fr 1fr; }
  h1, form { grid-column: 1 / -1; margin: 0; font-size: 1.2rem; }
  form { display: flex; gap: .75rem; align-items: end; font-size: 1rem; }
  label { display: grid; gap: .25rem; }
  textarea, pre { font: 13px/1.5 ui-monospace, monospace; box-sizing: border-box; width: 100%; margin: 0; padding: .5rem; border: 1px solid #8888; border-radius: 4px; }
  #query { height: 24rem; } #variables { height: 6rem; }
  pre { overflow: auto; min-height: 32rem; white-space: pre-wrap; }
  details { grid-column: 1 / -1; }
</style>
</head>
<body>
<h1>MongooseIM GraphiQL</h1>
<form id="form">
  <label>User <input id="username" autocomplete="username"></label>
  <label>Password <input id="password" type="password" autocomplete="current-password"></label>
  <button>Run (Ctrl+Enter)</button>
</form>
<div>
  <label>Query <textarea id="query" spellcheck="false">QUERY</textarea></label>
  <label>Variables <textarea id="variables" spellcheck="false">{}</textarea></label>
</div>
<pre id="answer" aria-live="polite"></pre>
<details><summary>Operations</summary><pre id="operations"></pre></details>
<script>
  const $ = (id) => document.getElementById(id);
  const credentials = () => {
    if (!$("username").value) return {};
    const bytes = new TextEncoder().encode($("username").value + ":" + $("password").value);
    return { authorization: "Basic " + btoa(String.fromCharCode(...bytes)) };
  };
  const ask = async (query, variables) => {
    const headers = { "content-type": "application/json", accept: "application/json", ...credentials() };
    const answer = await fetch(location.pathname, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
    return answer.json();
  };
  let following;
  const follow = async (query, variables) => {
    const search = new URLSearchParams({ query, variables: JSON.stringify(variables) });
    const { signal } = following = new AbortController();
    const headers = credentials();
    const { body } = await fetch(location.pathname.replace(/\\/$/, "") + "/sse?" + search, { headers, signal });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; !(part = await reader.read()).done;) $("answer").textContent += part.value;
  };
  $("form").onsubmit = async (event) => {
    event.preventDefault();
    following?.abort();
    try {
      const query = $("query").value;
      const variables = JSON.parse($("variables").value || "{}");
      $("answer").textContent = "";
      if (/^\\s*subscription\\b/.test(query)) await follow(query, variables);
      else $("answer").textContent = JSON.stringify(await ask(query, variables), null, 2);
    } catch (error) {
      $("answer").textContent = String(error);
    }
  };
  document.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  };
  const ref = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
  const print = (t) => t.kind === "NON_NULL" ? print(t.ofType) + "!" : t.kind === "LIST" ? "[" + print(t.ofType) + "]" : t.name;
  document.querySelector("details").ontoggle = async () => {
    const fields = "fields { name description args { name type { " + ref + " } } type { " + ref + " } }";
    const root = "{ fields { name type { " + ref + " " + fields + " } } }";
    const { data } = await ask("{ __schema { queryType " + root + " mutationType " + root + " subscriptionType " + root + " } }");
    $("operations").textContent = Object.entries(data.__schema).filter(([, type]) => type).map(([kind, type]) =>
      type.fields.map((category) => (category.type.fields ?? []).filter(() => /(Query|Mutation|Subscription)$/.test(category.type.name)).map((f) =>
        kind.replace("Type", "") + " " + category.name + "." + f.name
        + (f.args.length ? "(" + f.args.map((a) => a.name + ": " + print(a.type)).join(", ") + ")" : "")
        + ": " + print(f.type) + "\\n    " + f.description).join("\\n")).join("\\n")).join("\\n");
  };
</script>
</body>
</html>
`;
