// Erlang's terms, as MongooseIM keeps them in databases: the external term format.

export { decodeTerm } from "./decode.ts";
export { type EncodeOptions, encodeTerm } from "./encode.ts";
export * from "./value.ts";
