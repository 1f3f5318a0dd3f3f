/// What a `prune` is told on the command line.
package struct PruneRequest: Sendable {
    /// Who answers for what goes.
    package enum Mode: Hashable, Sendable {
        /// Nothing is carried out, and nothing is written at all.
        case dryRun
        /// A person has seen or will see the plan.
        case person
        /// Nobody looks: at most a quarter of the bytes goes.
        case scheduled
    }

    /// Of whom; it has no drive, because files go from all of them.
    package var filter = QueryFilter()
    package var mode = Mode.person
    /// How much of the packs may stay unused, in percent.
    package var maxUnusedPercent = 5
    /// Every byte on every drive is read first.
    package var readsAll = false
    /// Seconds to wait for another run; nil for the configuration's.
    package var waitSeconds: Int?

    /// A prune of all owners.
    package init() {}
}
