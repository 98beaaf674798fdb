import type { Usage } from '../ports/accounts.ts'
import { isSound, type Verification } from '../vault/operator/verify.ts'
import { bytesText, type Command, contentsText, counted, subjectText, withVault } from './command.ts'

export const verify: Command = {
  summary: 'open every file and check the database against the blobs',
  operands: [],
  options: {},
  help: `Reads every file of all users, including the trash, and checks the seal, every frame, the length and the SHA-256.
Also opens thumbnails, and reads what unfinished uploads have received. Reports damaged and missing files and uploads, blobs that no row names (orphans), users whose key does not open, and users whose
usage is counted wrongly. Changes nothing but \`verifiedAt\` of the files that opened.`,

  run: ({ config, progress }) =>
    withVault(config, async (vault, ports) => {
      const { files, trash, uploads } = await ports.census()
      const report = await vault.verify(progress(files.bytes + trash.bytes + uploads.bytes))
      return { ok: isSound(report), report: { ok: isSound(report), ...report }, lines: linesOf(report) }
    }),
}

function linesOf(report: Verification): string[] {
  return [
    ...report.damaged.map(({ blob, why, ...subject }) => `damaged: ${subjectText(subject)}, blob ${blob}: ${why}`),
    ...report.missing.map(({ blob, ...subject }) => `missing: ${subjectText(subject)}: its blob ${blob} is not there`),
    ...report.damagedThumbnails.map(({ file, why }) => `damaged: thumbnail of file ${file}: ${why}`),
    ...report.orphans.map((blob) => `orphan: blob ${blob}: no row names it`),
    ...report.slots.map(({ user, why }) => `locked: user ${user}: ${why}`),
    ...report.usage.map(
      ({ user, counted, actual }) =>
        `miscounted: user ${user}: counted ${usageText(counted)}, there are ${usageText(actual)}`,
    ),
    `checked ${contentsText(report)} (${bytesText(report.bytes)} opened), ${counted(report.thumbnails, 'thumbnail')} of ${counted(report.users, 'user')}, and ${counted(report.blobs, 'blob')}`,
    isSound(report)
      ? 'no problems found'
      : `${report.damaged.length + report.damagedThumbnails.length} damaged, ${report.missing.length} missing, ${counted(report.orphans.length, 'orphan')}, ${report.slots.length} locked, ${report.usage.length} miscounted`,
  ]
}

function usageText({ files, trashFiles, bytes }: Usage): string {
  return `${files} files, ${trashFiles} deleted ones and ${bytes} bytes`
}
