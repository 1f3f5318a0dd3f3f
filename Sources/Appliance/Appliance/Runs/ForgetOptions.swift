package import BackupCore

/// What a `forget` is told on the command line.
package struct ForgetOptions: Sendable {
    /// Who answers for what goes.
    package enum Mode: Hashable, Sendable {
        /// Nothing is carried out, and nothing is written at all.
        case dryRun
        /// A person has seen or will see the plan.
        case person
        /// Nobody looks: the configured policy and the rails.
        case scheduled
    }

    /// Ids of snapshots, or starts of them; without one the policy decides.
    package var snapshots: [String] = []
    /// Without a rule the configured one.
    package var policy = RetentionPolicy()
    /// Of whom; it has no drive, because snapshots go from all of them.
    package var filter = QueryFilter()
    package var mode = Mode.person
    /// Seconds to wait for another run; nil for the configuration's.
    package var waitSeconds: Int?

    /// Options with nothing chosen yet.
    package init() {}
}

extension ForgetOptions {
    /// What keeps snapshots; `usage` when there are neither names nor rules.
    func policy(or configured: RetentionPolicy) throws(ApplianceError) -> RetentionPolicy {
        if mode == .scheduled { return configured }
        if !snapshots.isEmpty || !policy.isEmpty { return policy }
        guard configured.isEmpty else { return configured }
        throw ApplianceError(
            .usage, "Neither a snapshot nor a rule says what to forget.",
            whatToDo: "Name snapshots, give rules such as --keep-daily 14, or configure retention.")
    }
}
