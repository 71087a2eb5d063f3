// GraphQL category private: XEP-0049's elements, for administrators and for their owner.
import { describe } from "vitest";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_private_SUITE", { door: "tcp" });
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const ELEMENT = "<my_element xmlns='alice:private:ns'>DATA</my_element>";
const WHICH = { element: "my_element", nameSpace: "alice:private:ns" };
const EMPTY =
  'Input coercion failed for type NonEmptyString with value <<>>. The reason it failed is: "Given string is empty"';
const MALFORMED =
  'Input coercion failed for type XmlElement with value <<"AAAABBBB">>. The reason it failed is: <<"expected <">>';

describe("with mod_private", () => {
  const { story } = stage(HOSTS);

  story(
    "administrators set and get a user's elements",
    {},
    async ({ graphql, actor, account, server, door }) => {
      for (const face of await graphql.administrators()) {
        const alice = await (await actor("alice")).logsIn(server.target(door));
        const user = alice.full;
        alice.says(`<iq type="set" id="p"><query xmlns="jabber:iq:private">${ELEMENT}</query></iq>`);
        await alice.hears(`<iq type="result" id="p"/>`);
        (await face.calls("private.getPrivate", { user, ...WHICH })).gives(ELEMENT.replaceAll("'", '"'));
        const changed = ELEMENT.replace("DATA", "MORE");
        (await face.calls("private.setPrivate", { user, elementString: changed })).gives(changed);
        (await face.calls("private.getPrivate", { user, ...WHICH })).gives(changed);
        (await face.calls("private.getPrivate", { user, element: "", nameSpace: "" })).isNotCoerced(EMPTY);
      }
      const outside = (await account("mercutio", "verona.example")).bare;
      const other = await graphql.domainAdmin();
      for (const user of ["eddie@otherhost", "eddie@localhost"]) {
        for (const face of [graphql.admin, graphql.ctl]) {
          (await face.calls("private.setPrivate", { user, elementString: ELEMENT })).fails("not_found");
          (await face.calls("private.getPrivate", { user, ...WHICH })).fails("not_found");
        }
      }
      for (const user of ["eddie@otherhost", outside]) {
        (await other.calls("private.setPrivate", { user, elementString: ELEMENT })).isUnauthorized();
        (await other.calls("private.getPrivate", { user, ...WHICH })).isUnauthorized();
      }
    },
    covers(
      "admin_set_private",
      "admin_get_private",
      "admin_get_private_empty_namespace",
      "no_user_error_set",
      "no_user_error_get",
      "domain_admin_user_set_private_no_permission",
      "domain_admin_user_get_private_no_permission",
    ),
  );

  story(
    "a user sets and gets his own",
    { alice: 1, bob: 0 },
    async ({ graphql, alice, bob }) => {
      const own = graphql.user(alice);
      alice.says(`<iq type="set" id="p"><query xmlns="jabber:iq:private">${ELEMENT}</query></iq>`);
      await alice.hears(`<iq type="result" id="p"/>`);
      (await own.calls("private.getPrivate", WHICH)).gives(ELEMENT.replaceAll("'", '"'));
      const changed = ELEMENT.replace("DATA", "MORE");
      (await own.calls("private.setPrivate", { elementString: changed })).gives(changed);
      (await own.calls("private.getPrivate", WHICH)).gives(changed);
      (await own.calls("private.getPrivate", { element: "", nameSpace: "" })).isNotCoerced(EMPTY);
      (await own.calls("private.setPrivate", { elementString: "AAAABBBB" })).isNotCoerced(MALFORMED);
      const others = await graphql.user(bob).calls("private.getPrivate", WHICH);
      others.gives("<my_element xmlns='alice:private:ns'/>");
    },
    covers("user_set_private", "user_get_private", "user_get_private_empty_namespace", "parse_xml_error"),
  );
});

describe("without mod_private", () => {
  const { story } = stage({ ...HOSTS, modules: { mod_private: null } });

  story(
    "nothing is kept",
    { alice: 0 },
    async ({ graphql, alice }) => {
      const lacking = ["mod_private"];
      for (const face of [graphql.admin, graphql.ctl]) {
        const user = alice.bare;
        (await face.calls("private.setPrivate", { user, elementString: ELEMENT })).lacks(lacking);
        (await face.calls("private.getPrivate", { user, ...WHICH })).lacks(lacking);
      }
      (await graphql.user(alice).calls("private.setPrivate", { elementString: ELEMENT })).lacks(lacking);
      (await graphql.user(alice).calls("private.getPrivate", WHICH)).lacks(lacking);
    },
    covers(
      "user_set_private_not_configured",
      "user_get_private_not_configured",
      "admin_set_private_not_configured",
      "admin_get_private_not_configured",
    ),
  );
});
