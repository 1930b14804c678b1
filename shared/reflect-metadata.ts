/**
 * The three functions of the Reflect metadata proposal that @peculiar/x509's container asks for when it is loaded; import
 * it before that package. They are added only where no other polyfill has.
 */
interface MetadataReflect {
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  getMetadata?: (key: unknown, target: object) => unknown;
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
}

const tables = new WeakMap<object, Map<unknown, unknown>>();
const reflect = Reflect as MetadataReflect;

if (reflect.getMetadata === undefined) {
  const own = (key: unknown, target: object): unknown => tables.get(target)?.get(key);
  reflect.getOwnMetadata = own;
  reflect.getMetadata = (key, target) => {
    for (let object: object | null = target; object !== null; object = Object.getPrototypeOf(object) as object | null) {
      const found = own(key, object);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  reflect.defineMetadata = (key, value, target) => {
    const table = tables.get(target) ?? new Map<unknown, unknown>();
    tables.set(target, table.set(key, value));
  };
}
