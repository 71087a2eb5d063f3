// The language in which operations say what they take and give: GraphQL's own notation, read by TypeScript too.
// "JID!" in a declaration is a BareJid or FullJid in the resolver, because both come from the same table.

/** A type in GraphQL's notation: "JID!", "[ContactInput!]!", and for arguments "PosInt = 50". */
export type TypeRef = string;

/** An argument: its type, or its type with a line for the manual. */
export type ArgSpec = TypeRef | { readonly type: TypeRef; readonly description: string };
export type ArgSpecs = { readonly [name: string]: ArgSpec };
export type Fields = { readonly [name: string]: TypeRef };

export interface ScalarType<In = unknown, Out = unknown> {
  readonly kind: "scalar";
  readonly name: string;
  readonly description: string;
  /** Turns what came over the wire into the value resolvers get. Throws ScalarError. */
  parse(value: unknown): In;
  /** Turns what a resolver gave into JSON. */
  print(value: Out): string | number | boolean;
}

export interface EnumType<V extends string = string> {
  readonly kind: "enum";
  readonly name: string;
  readonly description: string;
  readonly values: readonly V[];
}

export interface ObjectType<F extends Fields = Fields> {
  readonly kind: "object";
  readonly name: string;
  readonly description: string;
  readonly fields: F;
}

export interface InputType<F extends Fields = Fields> {
  readonly kind: "input";
  readonly name: string;
  readonly description: string;
  readonly fields: F;
}

export interface UnionType<M extends string = string> {
  readonly kind: "union";
  readonly name: string;
  readonly description: string;
  readonly members: readonly M[];
}

export type NamedType = ScalarType<never, never> | ScalarType | EnumType | ObjectType | InputType | UnionType;

/** A value that a scalar does not accept. The reason is one of MongooseIM's words, such as failed_to_parse_jid. */
export class ScalarError extends Error {
  override readonly name = "ScalarError";
  constructor(readonly reason: string) {
    super(reason);
  }
}

export const scalarType = <In, Out>(
  name: string,
  description: string,
  parse: (value: unknown) => In,
  print: (value: Out) => string | number | boolean,
): ScalarType<In, Out> => ({ kind: "scalar", name, description, parse, print });

export const enumType = <const V extends string>(
  name: string,
  description: string,
  values: readonly V[],
): EnumType<V> => ({ kind: "enum", name, description, values });

export const objectType = <const F extends Fields>(name: string, description: string, fields: F): ObjectType<F> => ({
  kind: "object",
  name,
  description,
  fields,
});

export const inputType = <const F extends Fields>(name: string, description: string, fields: F): InputType<F> => ({
  kind: "input",
  name,
  description,
  fields,
});

/** Members are names of object types; a resolver tells which one it gives by `__typename`. */
export const unionType = <const M extends string>(
  name: string,
  description: string,
  members: readonly M[],
): UnionType<M> => ({ kind: "union", name, description, members });

/**
 * Named types, by name, for the type checker. The core's are in types.ts; a module declares its own beside its
 * operations, lists them in the operations' `types`, and says:
 *
 *     declare module "../core/operations/language.ts" { interface NamedTypes { Room: typeof Room } }
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface NamedTypes {}

interface BuiltIn {
  String: string;
  Int: number;
  Float: number;
  Boolean: boolean;
  ID: string;
}

type Optional<T extends string> = T extends `${string}!` ? false : T extends `${string} = ${string}` ? false : true;
type Bare<T extends string> = T extends `${infer B}!`
  ? B
  : T extends `${infer B} = ${string}`
    ? B extends `${infer C}!`
      ? C
      : B
    : T;
type RefOf<S extends ArgSpec> = S extends { readonly type: infer T extends string } ? T : S extends string ? S : never;

type InNamed<N extends string> = N extends keyof BuiltIn
  ? BuiltIn[N]
  : N extends keyof NamedTypes
    ? NamedTypes[N] extends ScalarType<infer In, infer _>
      ? In
      : NamedTypes[N] extends EnumType<infer V>
        ? V
        : NamedTypes[N] extends InputType<infer F>
          ? ArgsOf<F>
          : never
    : never;
/** What a resolver gets for a type, once it is known to be there. */
export type InputOf<T extends string> = Bare<T> extends `[${infer E}]` ? InputOf<E>[] : InNamed<Bare<T>>;

/** What a resolver gets for its arguments: optional ones without a default may be missing, and are never null. */
export type ArgsOf<A extends ArgSpecs> = {
  readonly [K in keyof A as Optional<RefOf<A[K]>> extends true ? never : K]: InputOf<RefOf<A[K]>>;
} & {
  readonly [K in keyof A as Optional<RefOf<A[K]>> extends true ? K : never]?: InputOf<RefOf<A[K]>>;
};

type OutFields<F extends Fields> = {
  readonly [K in keyof F as Optional<F[K]> extends true ? never : K]: OutputOf<F[K]>;
} & {
  readonly [K in keyof F as Optional<F[K]> extends true ? K : never]?: OutputOf<F[K]>;
};
type OutNamed<N extends string> = N extends keyof BuiltIn
  ? BuiltIn[N]
  : N extends keyof NamedTypes
    ? NamedTypes[N] extends ScalarType<infer _, infer Out>
      ? Out
      : NamedTypes[N] extends EnumType<infer V>
        ? V
        : NamedTypes[N] extends ObjectType<infer F>
          ? OutFields<F>
          : NamedTypes[N] extends UnionType<infer M>
            ? { [K in M]: OutNamed<K> & { readonly __typename: K } }[M]
            : never
    : never;
type OutBare<T extends string> = T extends `[${infer E}]` ? readonly OutputOf<E>[] : OutNamed<T>;
/** What a resolver gives for a type. */
export type OutputOf<T extends string> =
  Optional<T> extends true ? OutBare<Bare<T>> | null | undefined : OutBare<Bare<T>>;

/** A reference taken apart, outermost wrapper first: "[String!]!" has wrap ["required", "list", "required"]. */
export interface ParsedRef {
  readonly name: string;
  readonly wrap: readonly ("list" | "required")[];
  /** The default as GraphQL writes it, when there is one. */
  readonly default?: string;
}

/** Reads a type reference. Throws a TypeError that quotes a malformed one: declarations are checked at start. */
export function parseRef(ref: TypeRef): ParsedRef {
  const [type, ...rest] = ref.split(" = ");
  const wrap: ("list" | "required")[] = [];
  let inner = type;
  for (;;) {
    if (inner.endsWith("!") && wrap.at(-1) !== "required") {
      wrap.push("required");
      inner = inner.slice(0, -1);
    } else if (inner.startsWith("[") && inner.endsWith("]")) {
      wrap.push("list");
      inner = inner.slice(1, -1);
    } else break;
  }
  if (!/^[A-Za-z_]\w*$/.test(inner)) throw new TypeError(`"${ref}" is not a GraphQL type`);
  return rest.length > 0 ? { name: inner, wrap, default: rest.join(" = ") } : { name: inner, wrap };
}

/** The type part of an argument's declaration. */
export const argType = (spec: ArgSpec): TypeRef => (typeof spec === "string" ? spec : spec.type);
