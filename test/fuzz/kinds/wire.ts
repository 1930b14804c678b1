import { loadServices } from '../../../coordinator/rpc-services.js';
import { checkEnrollmentProof } from '../../../shared/enrollment.js';
import type { SeededRandom } from '../../../shared/rng.js';
import * as codecs from '../../../shared/wire/codecs.js';
import { decodeCoordinatorFrame, decodeSiteFrame } from '../../../shared/wire/decode.js';
import { encodeCoordinatorFrame, encodeSiteFrame } from '../../../shared/wire/encode.js';
import { COORDINATOR_SAMPLES, SITE_SAMPLES } from '../../wire/samples.js';
import { type FuzzKind, type FuzzTarget, pack, Refused, unpack } from '../kind.js';
import { mutateBytes, mutateValue, pick } from '../mutate.js';

/** Every message of the wire: as protobuf bytes through the library that gRPC uses, and as the object that it loads. */
interface WireForm {
  readonly specimens: readonly object[];
  readonly write: (wire: object) => Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
  readonly decode: (wire: unknown) => unknown;
}

interface Method {
  readonly requestSerialize: (value: object) => Uint8Array;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: object) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

const hash = 'ab'.repeat(32);
const filled = (length: number) => new Uint8Array(length).fill(7);

function forms(): WireForm[] {
  const services = loadServices() as unknown as Record<string, Record<string, Method>>;
  const method = (service: string, name: string) =>
    Object.entries(services[service]!).find(([key]) => key.toLowerCase() === name)![1];
  const request = (service: string, name: string, specimens: object[], decode: WireForm['decode']): WireForm => {
    const { requestSerialize, requestDeserialize } = method(service, name);
    return { specimens, write: requestSerialize, read: (bytes) => requestDeserialize(Buffer.from(bytes)), decode };
  };
  const response = (service: string, name: string, specimens: object[], decode: WireForm['decode']): WireForm => {
    const { responseSerialize, responseDeserialize } = method(service, name);
    return { specimens, write: responseSerialize, read: (bytes) => responseDeserialize(Buffer.from(bytes)), decode };
  };
  const entry = { name: 'hcc', version: 1, digest: hash, studyHash: hash, phase: 'published', publishedAt: 'now' };
  const file = { path: 'bundle/model.onnx', sha256: hash, size: 12 };
  const enroll = {
    site: 'alder',
    token: filled(32),
    csr: filled(300),
    signingPublicKey: filled(32),
    proof: filled(64),
  };
  const chunk = { offset: 0, data: filled(40), sha256: hash };
  return [
    request('federation', 'connect', SITE_SAMPLES.map(encodeSiteFrame), decodeSiteFrame),
    response('federation', 'connect', COORDINATOR_SAMPLES.map(encodeCoordinatorFrame), decodeCoordinatorFrame),
    request('enrollment', 'enroll', [codecs.enrollRequest.encode(enroll as never) as object], (wire) =>
      checkEnrollmentProof(codecs.enrollRequest.decode(wire, 'EnrollRequest')),
    ),
    response(
      'enrollment',
      'enroll',
      [codecs.enrollResponse.encode({ certificate: filled(500) } as never) as object],
      (wire) => codecs.enrollResponse.decode(wire, 'EnrollResponse'),
    ),
    request(
      'transfer',
      'upload',
      [
        codecs.uploadChunk.encode({ blobSha256: hash, blobSize: 40, ...chunk }) as object,
        codecs.uploadChunk.encode({ blobSha256: null, blobSize: null, ...chunk }) as object,
      ],
      (wire) => codecs.uploadChunk.decode(wire, 'UploadChunk'),
    ),
    response('transfer', 'upload', [codecs.uploadReceipt.encode({ sha256: hash, size: 9 }) as object], (wire) =>
      codecs.uploadReceipt.decode(wire, 'UploadReceipt'),
    ),
    request('transfer', 'download', [codecs.downloadRequest.encode({ sha256: hash, offset: 9 }) as object], (wire) =>
      codecs.downloadRequest.decode(wire, 'DownloadRequest'),
    ),
    response('transfer', 'download', [codecs.downloadChunk.encode({ blobSize: 40, ...chunk }) as object], (wire) =>
      codecs.downloadChunk.decode(wire, 'DownloadChunk'),
    ),
    request('transfer', 'stat', [codecs.statRequest.encode({ sha256: hash }) as object], (wire) =>
      codecs.statRequest.decode(wire, 'StatRequest'),
    ),
    response('transfer', 'stat', [codecs.statResponse.encode({ complete: true, offset: 3 }) as object], (wire) =>
      codecs.statResponse.decode(wire, 'StatResponse'),
    ),
    response('registry', 'listbundles', [codecs.bundleList.encode({ bundles: [entry] }) as object], (wire) =>
      codecs.bundleList.decode(wire, 'ListBundlesResponse'),
    ),
    request('registry', 'getbundle', [codecs.bundleQuery.encode({ name: 'hcc', version: 3 }) as object], (wire) =>
      codecs.bundleQuery.decode(wire, 'GetBundleRequest'),
    ),
    response(
      'registry',
      'getbundle',
      [codecs.bundleDetail.encode({ bundle: entry, files: [file] }) as object],
      (wire) => codecs.bundleDetail.decode(wire, 'GetBundleResponse'),
    ),
  ];
}

function frame(random: SeededRandom, all: readonly WireForm[]): number {
  // The control stream has by far the most messages.
  return random.integer(10) < 7 ? random.integer(2) : random.integer(all.length);
}

/** Bytes as they come off the line: the first byte of an input says which method. */
export const WIRE_BYTES: FuzzKind = {
  name: 'wire-bytes',
  weight: 60,
  prepare(): FuzzTarget {
    const all = forms();
    const written = all.map(({ specimens, write }) => specimens.map((wire) => new Uint8Array(write(wire))));
    return {
      make(random) {
        const form = frame(random, all);
        const bytes = mutateBytes(random, pick(random, written[form]!));
        return new Uint8Array(Buffer.concat([Uint8Array.of(form), bytes]));
      },
      run(input) {
        const form = all[input[0]! % all.length]!;
        let wire: unknown;
        try {
          wire = form.read(input.subarray(1));
        } catch {
          // gRPC calls the library under a guard of its own and ends the call.
          throw new Refused('protobuf');
        }
        form.decode(wire);
      },
    };
  },
};

/** What a message becomes when its fields are of other kinds and sizes than any protobuf writer would make. */
export const WIRE_FIELDS: FuzzKind = {
  name: 'wire-fields',
  weight: 60,
  prepare(): FuzzTarget {
    const all = forms();
    // As the library loads it: with the defaults and forms of this program's own loader options.
    const loaded = all.map(({ specimens, write, read }) => specimens.map((wire) => read(write(wire))));
    return {
      make(random) {
        const form = frame(random, all);
        return pack([form, mutateValue(random, plainCopy(pick(random, loaded[form]!)))]);
      },
      run(input) {
        const [form, wire] = unpack(input) as [number, unknown];
        all[form]!.decode(wire);
      },
    };
  },
};

/** Messages are loaded as objects with a prototype of their own. */
function plainCopy(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(plainCopy);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainCopy(item)]));
  return value;
}
