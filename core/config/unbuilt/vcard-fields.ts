// How mod_vcard's ldap backend names things when it is not told otherwise.

const map = (vcard_field: string, ldap_field: string, ldap_pattern = "%s") => ({
  vcard_field,
  ldap_pattern,
  ldap_field,
});

/** vCard fields, and the attributes that fill them. */
export const VCARD_MAP = [
  map("NICKNAME", "", "%u"),
  map("FN", "displayName"),
  map("FAMILY", "sn"),
  map("GIVEN", "givenName"),
  map("MIDDLE", "initials"),
  map("ORGNAME", "o"),
  map("ORGUNIT", "ou"),
  map("CTRY", "c"),
  map("LOCALITY", "l"),
  map("STREET", "street"),
  map("REGION", "st"),
  map("PCODE", "postalCode"),
  map("TITLE", "title"),
  map("URL", "labeleduri"),
  map("DESC", "description"),
  map("TEL", "telephoneNumber"),
  map("EMAIL", "mail"),
  map("BDAY", "birthDay"),
  map("ROLE", "employeeType"),
  map("PHOTO", "jpegPhoto"),
];

const search = (search_field: string, ldap_field: string) => ({ search_field, ldap_field });

/** Fields of the search form, and the attributes that are searched. */
export const VCARD_SEARCH = [
  search("User", "%u"),
  search("Full Name", "displayName"),
  search("Given Name", "givenName"),
  search("Middle Name", "initials"),
  search("Family Name", "sn"),
  search("Nickname", "%u"),
  search("Birthday", "birthDay"),
  search("Country", "c"),
  search("City", "l"),
  search("Email", "mail"),
  search("Organization Name", "o"),
  search("Organization Unit", "ou"),
];

const reported = (search_field: string, vcard_field: string) => ({ search_field, vcard_field });

/** Fields of the result, and the vCard fields they show. */
export const VCARD_REPORTED = [
  reported("Full Name", "FN"),
  reported("Given Name", "FIRST"),
  reported("Middle Name", "MIDDLE"),
  reported("Family Name", "LAST"),
  reported("Nickname", "NICK"),
  reported("Birthday", "BDAY"),
  reported("Country", "CTRY"),
  reported("City", "LOCALITY"),
  reported("Email", "EMAIL"),
  reported("Organization Name", "ORGNAME"),
  reported("Organization Unit", "ORGUNIT"),
];
