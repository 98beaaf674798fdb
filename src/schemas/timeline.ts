import { Type } from '@sinclair/typebox'
import { MOST_OF_A_PAGE, NextCursor, Paging } from './common.ts'

export const USUAL_MONTHS = 500

export const TimelineQuery = Type.Object({
  ...Paging,
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MOST_OF_A_PAGE,
      default: USUAL_MONTHS,
      description: 'The maximum number of months of a page.',
    }),
  ),
})

const Month = Type.Object(
  {
    month: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}$', description: 'In UTC.', examples: ['2026-07'] }),
    files: Type.Integer({ minimum: 1, description: 'How many live files it has.', examples: [123] }),
    cursor: Type.String({
      description:
        'As `cursor` of `GET /v1/files?sort=takenAt&order=desc` it begins with the newest file of the month.',
    }),
  },
  { 'x-name': 'Month', description: 'A month that has files.' },
)

export const MonthList = Type.Object(
  {
    months: Type.Array(Month),
    nextCursor: NextCursor,
  },
  { 'x-name': 'MonthList', description: 'One page of the months of the signed-in user, the newest first.' },
)
