/** The measurements on all servers, and their goals. */
import { getLarge, getMany, MANY, postLarge, prepareLarge, prepareMany, putLarge, putMany } from './large.ts'
import type { Aims, Sample } from './report.ts'
import type { Server } from './servers.ts'
import { getSmall, prepareSmall, putSmall, signUp } from './small.ts'

export interface Extent {
  /** The goals for a large file, or for sixteen together. */
  mib: number
  /** The goals for small requests. */
  seconds: number
}

export interface Measure {
  name: string
  title: string
  cpuUnit: 's/GiB' | 'ms/request' | 'ms/pair'
  aims: Aims
  ours: Action
  /** The action on the bare server, if it differs from `ours`. */
  bare?: Action
  /** The other servers that are measured. */
  beside: ('copying' | 'nginx')[]
  prepare?: (server: Server) => Promise<void>
  /** The title of a line about the added memory. */
  memory?: string
}

type Action = (server: Server, extent: Extent) => Promise<Sample>

/** The CPU time that corresponds to 0.85 of the rate. */
const LARGE_RATIOS = { rateRatio: 0.85, cpuRatio: 1 / 0.85 }
const UPLOAD = { ...LARGE_RATIOS, cpu: 2 }
const DOWNLOAD = { ...LARGE_RATIOS, cpu: 1 }

/** Of so many MiB together, in whole ones. */
const eachOf = (mib: number) => Math.ceil(mib / MANY)

export function measuresOf({ mib }: Extent): Measure[] {
  const put: Action = (server, extent) => putLarge(server, extent.mib)
  return [
    {
      name: 'put',
      title: `PUT of ${mib} MiB, MiB/s`,
      cpuUnit: 's/GiB',
      aims: UPLOAD,
      ours: put,
      beside: ['copying', 'nginx'],
      memory: 'Memory added by a PUT',
    },
    {
      name: 'put-many',
      title: `${MANY} PUTs of ${eachOf(mib)} MiB at once`,
      cpuUnit: 's/GiB',
      aims: UPLOAD,
      ours: (server, extent) => putMany(server, eachOf(extent.mib)),
      beside: ['copying', 'nginx'],
      memory: `Memory added by ${MANY} PUTs at once`,
    },
    {
      name: 'form',
      title: 'form beside a bare PUT, MiB/s',
      cpuUnit: 's/GiB',
      aims: { rateRatio: 0.6 },
      ours: (server, extent) => postLarge(server, extent.mib),
      bare: put,
      beside: [],
      memory: 'Memory added by a form',
    },
    {
      name: 'get',
      title: `GET of ${mib} MiB, MiB/s`,
      cpuUnit: 's/GiB',
      aims: DOWNLOAD,
      ours: (server) => getLarge(server, mib),
      beside: ['copying', 'nginx'],
      prepare: (server) => prepareLarge(server, mib),
    },
    {
      name: 'get-many',
      title: `${MANY} GETs of ${eachOf(mib)} MiB at once`,
      cpuUnit: 's/GiB',
      aims: DOWNLOAD,
      ours: (server) => getMany(server, eachOf(mib)),
      beside: ['copying', 'nginx'],
      prepare: (server) => prepareMany(server, eachOf(mib)),
      memory: `Memory added by ${MANY} GETs at once`,
    },
    {
      name: 'put-small',
      title: 'PUT of 20 KiB, requests/s',
      cpuUnit: 'ms/request',
      aims: { rateRatio: 0.7, rate: 2000 },
      ours: (server, { seconds }) => putSmall(server, seconds),
      beside: ['nginx'],
    },
    {
      name: 'get-small',
      title: 'GET of 20 KiB, requests/s',
      cpuUnit: 'ms/request',
      aims: { rateRatio: 0.7 },
      ours: (server, { seconds }) => getSmall(server, seconds),
      beside: ['nginx'],
      prepare: prepareSmall,
    },
    {
      name: 'sign-up',
      title: 'register + sign-in, pairs/s',
      cpuUnit: 'ms/pair',
      aims: { rateRatio: 0.7 },
      ours: (server, { seconds }) => signUp(server, seconds),
      beside: [],
    },
  ]
}
