import { z } from 'zod';
import { ConcordatError } from '../../shared/errors.js';

/**
 * The note that lies beside a mask which a model proposed: `<mask>.proposed.json`. The mask itself says in its NIfTI header that it is a
 * proposal, so that one which lost its note counts as not accepted. Nothing in the note names a patient.
 */
export const PROPOSED_SUFFIX = '.proposed.json';

/** Begins the `descrip` field of a proposed mask's header. */
export const PROPOSED_MARK = 'Concordat: proposed by a model';

const digest = z.string().regex(/^[0-9a-f]{64}$/);

const noteSchema = z.strictObject({
  format: z.literal(1),
  status: z.enum(['proposed', 'accepted']),
  /** When the model proposed it, ISO 8601. */
  proposedAt: z.string(),
  model: z.strictObject({ sha256: digest }),
  settingsDigest: digest,
  /** Of the mask's bytes as the model left them. */
  maskSha256: digest,
  /** Every acceptance, the latest last, which is the one that counts. */
  acceptances: z.array(
    z.strictObject({
      by: z.string(),
      at: z.string(),
      /** Of the mask's bytes as they were accepted. */
      maskSha256: digest,
      /** Whether someone had changed the mask since the model proposed it. */
      corrected: z.boolean(),
    }),
  ),
});

export type ProposedNote = z.output<typeof noteSchema>;

export interface Proposal {
  readonly modelSha256: string;
  readonly settingsDigest: string;
  readonly maskSha256: string;
  /** ISO 8601. */
  readonly at: string;
}

export const proposedNote = ({ modelSha256, settingsDigest, maskSha256, at }: Proposal): ProposedNote => ({
  format: 1,
  status: 'proposed',
  proposedAt: at,
  model: { sha256: modelSha256 },
  settingsDigest,
  maskSha256,
  acceptances: [],
});

export const noteText = (note: ProposedNote): string => `${JSON.stringify(note, null, 2)}\n`;

/** @throws ConcordatError IMAGE_MASK_NOT_ACCEPTED where the note cannot be read */
export function parseNote(text: string): ProposedNote {
  const reading = noteSchema.safeParse(jsonOf(text));
  if (!reading.success)
    throw new ConcordatError('IMAGE_MASK_NOT_ACCEPTED', 'the note beside the proposed mask cannot be read');
  return reading.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The note after someone has looked at the mask with these bytes and accepted it. */
export function acceptedNote(
  note: ProposedNote,
  { by, at, maskSha256 }: { readonly by: string; readonly at: string; readonly maskSha256: string },
): ProposedNote {
  const acceptance = { by, at, maskSha256, corrected: maskSha256 !== note.maskSha256 };
  return { ...note, status: 'accepted', acceptances: [...note.acceptances, acceptance] };
}

/**
 * Nothing where the mask with these bytes was accepted.
 *
 * @param note null where no note lies beside the mask
 * @param isMarked whether the mask says of itself that a model proposed it
 * @throws ConcordatError IMAGE_MASK_NOT_ACCEPTED, IMAGE_MASK_CHANGED
 */
export function assertAccepted(note: ProposedNote | null, isMarked: boolean, maskSha256: string): void {
  if (note === null) {
    if (!isMarked) return;
    throw new ConcordatError(
      'IMAGE_MASK_NOT_ACCEPTED',
      'a model proposed the mask, and the note that would say who accepted it is not beside it',
    );
  }
  const last = note.acceptances.at(-1);
  if (note.status !== 'accepted' || last === undefined)
    throw new ConcordatError('IMAGE_MASK_NOT_ACCEPTED', 'a model proposed the mask, and nobody has accepted it');
  if (last.maskSha256 !== maskSha256)
    throw new ConcordatError('IMAGE_MASK_CHANGED', 'the mask was changed after it was accepted');
}
