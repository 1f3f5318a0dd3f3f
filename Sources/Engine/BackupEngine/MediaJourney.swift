internal import BackupCore

/// One capture that the engine drives: from a phone's folders to a snapshot.
///
/// ``run()`` is the whole way. An actor, so that the end of a cancelled run can be written by a
/// task of its own that is not cancelled, over the same state.
actor MediaJourney {
    /// How often a phone may go away with no file finished in between before the run ends.
    private static let lossesWithoutProgress = 5
    private static let pollsForAMissingCard = 3

    let parts: CaptureParts
    let link: PhoneLink
    let meter: ReadMeter
    private let checkpoints: Checkpoints
    var parents = ParentTrees()
    var known: [StorageFacts] = []
    /// What the newest snapshot that tells it says of photos that are only in the cloud.
    var knownOnlyInCloud: UInt64?
    /// The attempt in hand, once its listing is whole.
    var assembly: SnapshotAssembly?
    /// Whether what the attempt read before the phone went away is a parent already.
    private var assemblyIsKept = false
    var plan: PhonePlan?
    /// The listing in hand, nil once it is whole.
    private var lister: PhoneLister?
    /// The question of the shrink guard, when it holds this run.
    var question: String?
    private var losses: [EntryPath: Int] = [:]
    private var lossesInARow = 0
    private var spaceIsChecked = false
    /// Whether the phone was ever readable in this run.
    var hasBegun = false
    var result = CaptureResult()

    init(_ parts: CaptureParts, link: PhoneLink) {
        self.parts = parts
        self.link = link
        meter = ReadMeter(events: parts.services.events)
        checkpoints = Checkpoints(parts)
    }

    /// Waits for the phone, compares, reads, and writes the snapshot.
    func run() async -> CaptureResult {
        do throws(Interruption) {
            try await KilledRun(parts: parts).save()
            let storages = try await waitForPhone()
            try await saveAll(storages)
            try await commit(isPartial: question != nil)
            conclude()
        } catch {
            // What was read is kept also when the run is cancelled: writing it down must not be
            // cancelled with it. The task ends before this function does.
            await Task { await self.end(error) }.value
        }
        result.bytesRead = meter.bytesRead
        return result
    }

    private func waitForPhone() async throws(Interruption) -> [PhoneStorage] {
        let limit = parts.request.wait
        let clock = parts.services.clock
        let start = clock.elapsed()
        let storages = try await link.waitForStorages(of: parts.capture, limit: limit)
        hasBegun = true
        try await loadParents()
        return try await settle(storages, until: start + limit)
    }

    private func loadParents() async throws(Interruption) {
        let repository = parts.repository
        let snapshots = try await stored { () async throws(RepositoryError) in
            try await repository.snapshots()
        }
        parents = ParentTrees(
            of: parts.request.phone, capture: parts.capture, among: snapshots)
        for parent in parents.parents {
            let notes: SnapshotNotes?
            do {
                notes = try await SnapshotNotes.of(tree: parent.tree, in: repository)
            } catch {
                // Damaged notes cost a storage its old name at worst; no drive ends the run.
                guard [.damaged, .missing, .limitExceeded].contains(error.code) else {
                    throw Interruption(error)
                }
                notes = nil
            }
            knownOnlyInCloud = knownOnlyInCloud ?? notes?.onlyInCloud
            for facts in notes?.storages ?? []
            where !known.contains(where: { $0.folder == facts.folder }) {
                known.append(facts)
            }
        }
    }

    /// A card may show some seconds after the main storage: one that is missed is waited for a
    /// little, so that unlocking the phone does not look like a card taken out.
    private func settle(
        _ storages: [PhoneStorage], until deadline: Duration
    ) async throws(Interruption) -> [PhoneStorage] {
        var current = storages
        let clock = parts.services.clock
        for _ in 0..<Self.pollsForAMissingCard where !naming.allAreThere(current) {
            let left = deadline - clock.elapsed()
            guard left > .zero else { break }
            await clock.sleep(min(PhoneLink.pollInterval, left))
            current = try await link.waitForStorages(
                of: parts.capture, limit: max(.zero, deadline - clock.elapsed()))
        }
        return current
    }

    private var naming: StorageNaming {
        StorageNaming(known: known, names: NameMapping(hash: parts.services.hash))
    }

    /// Attempts until one reaches the end. Handles die with a session, so the phone is listed
    /// anew after it was away; what was read before is a parent then and is not read again.
    private func saveAll(_ storages: [PhoneStorage]) async throws(Interruption) {
        var storages = storages
        while true {
            do throws(Interruption) {
                return try await attempt(storages)
            } catch .phone(let error) where error.mayComeBack && !Task.isCancelled {
                try await keepWhatWasRead()
                try noteLoss(error)
                parts.notice("phone_lost", "\(error.whatHappened) Waiting for the phone.")
                let limit = min(parts.request.wait, PhoneLink.longestAbsence)
                storages = try await link.waitForStorages(
                    of: parts.capture, after: error, limit: limit)
                parts.notice("phone_back", "The phone is back; the backup goes on.")
            }
        }
    }

    private func attempt(_ storages: [PhoneStorage]) async throws(Interruption) {
        let media = try await link.media(parts.capture)
        let givenUp = Set(losses.filter { $0.value > 1 }.keys)
        let lister = PhoneLister(parts, media: media, givenUp: givenUp)
        self.lister = lister
        try await lister.list(naming.assign(storages), parents: parents.root)
        try await confirm(storages, media)
        let plan = lister.plan
        self.plan = plan
        self.lister = nil
        question =
            parts.request.acceptsShrink ? nil : plan.shrink.question(parts.request.shrinkLimits)
        if let question { parts.notice("held", question) }
        try await checkSpace(plan)
        await checkpoints.begin(notes: notes(plan))
        let assembly = SnapshotAssembly(
            parts, plan: plan, root: parents.root, media: media, meter: meter,
            checkpoints: checkpoints, keepsMissing: question != nil, givenUp: givenUp)
        self.assembly = assembly
        assemblyIsKept = false
        try await assembly.assemble()
    }

    /// Holds that the storages are still there after they were listed: a phone that was locked, or
    /// lost a card, meanwhile may have listed less than it has.
    private func confirm(
        _ storages: [PhoneStorage], _ media: any MediaSource
    ) async throws(Interruption) {
        let now: [PhoneStorage]
        do { now = try await media.storages() } catch { throw Interruption(error) }
        guard Set(now.map(\.handle)).isSuperset(of: storages.map(\.handle)) else {
            throw .phone(
                DeviceError(.waitingForUser, "The phone was locked while it listed its files"))
        }
    }

    private func checkSpace(_ plan: PhonePlan) async throws(Interruption) {
        guard !spaceIsChecked, plan.bytesNeeded > 0 else { return }
        spaceIsChecked = true
        let drives = await parts.services.driveSpace()
        let short = drives.filter { $0.freeBytes < plan.bytesNeeded }
        for drive in short {
            parts.notice(
                "drive_short",
                "Drive \(HostileText.escaped(drive.name)) has "
                    + "\(ByteCount.text(drive.freeBytes)) left and needs "
                    + "\(ByteCount.text(plan.bytesNeeded)): it may fall behind.")
        }
        if !drives.isEmpty, short.count == drives.count {
            throw .noRoom(needed: plan.bytesNeeded)
        }
    }

    /// Stores the tree of what was read and confirmed and makes it the first parent.
    private func keepWhatWasRead() async throws(Interruption) {
        guard let assembly, !assemblyIsKept else { return }
        assemblyIsKept = true
        if assembly.filesRead > 0 { lossesInARow = 0 }
        try await assembly.confirmRest()
        let builder = assembly.builder
        let tree = try await stored { () async throws(RepositoryError) in
            try await builder.finish()
        }
        parents.putFirst(interim: tree)
    }

    private func noteLoss(_ error: DeviceError) throws(Interruption) {
        let position = lister?.position ?? assembly?.position ?? .root
        losses[position, default: 0] += 1
        lossesInARow += 1
        lister = nil
        guard lossesInARow <= Self.lossesWithoutProgress else { throw .phone(error) }
    }
}
