// What the libraries have and their types lack.

interface Buffer {
  latin1Slice(start?: number, end?: number): string;
  utf8Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number, length?: number): number;
  utf8Write(text: string, offset?: number, length?: number): number;
}

declare module "@xmpp/xml" {
  /** An XML element of the ltx library: a tree. */
  export class Element {
    constructor(name: string, attrs?: Record<string, string | number | undefined>);
    name: string;
    parent: Element | null;
    attrs: Record<string, string>;
    children: (Element | string)[];
    is(name: string, ns?: string): boolean;
    getName(): string;
    getNS(): string | undefined;
    findNS(prefix?: string): string | undefined;
    getChild(name: string, ns?: string): Element | undefined;
    getChildren(name: string, ns?: string): Element[];
    getChildElements(): Element[];
    getChildrenByAttr(attr: string, value: string, ns?: string, recursive?: boolean): Element[];
    getChildText(name: string, ns?: string): string | null;
    getText(): string;
    text(): string;
    attr(name: string, value?: string): string | undefined;
    append(...children: (Element | string)[]): this;
    toString(): string;
  }
  export class Parser {
    on(event: "start" | "element" | "end", listener: (el: Element) => void): void;
    on(event: "error", listener: (error: unknown) => void): void;
    write(text: string): void;
  }
  export default function xml(
    name: string,
    attrs?: Record<string, string | number | undefined> | null,
    ...children: (Element | string | undefined)[]
  ): Element;
}
