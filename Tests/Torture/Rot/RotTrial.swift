import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// One trial: files are damaged, the damage must be found and named, healed as far as any good
/// bytes are left, and nothing may be deleted.
struct RotTrial {
    /// Where the damage lies.
    enum Reach: String, CaseIterable, Sendable {
        case oneDrive, differentBlobs, sameBlob, several
    }

    private let rot: RotStore
    private let drives: [String]
    private var numbers: TrialNumbers
    private var media: [String: RotMedium] = [:]
    private var unreadable: [String: Set<FileName>] = [:]
    private var problems: [String] = []
    private(set) var counts: [String] = []
    /// The files that were good on some drive when the healing began, and those of others whose
    /// content was: packs of which every blob is good somewhere, and indexes.
    private var healable: Set<FileName> = []
    private var savable: Set<FileName> = []
    /// Indexes that the rescue put others in the place of: they name packs that are bad everywhere.
    private var superseded: Set<FileName> = []

    init(_ rot: RotStore, numbers: TrialNumbers) {
        self.rot = rot
        drives = rot.store.drives
        self.numbers = numbers
    }

    /// Gives what broke, empty when all is well.
    mutating func run(withRestic: Bool, log: String) async throws -> [String] {
        let reach = numbers.pick(Reach.allCases)
        counts.append("\(reach)")
        damage(reach)
        let harmed = rot.store.drives.map { TrialFiles.tree(rot.store.drive($0) + "/holdfast") }
        let expected = expectedFindings()
        healable = Set(rot.whole.keys.filter(isGoodSomewhere))
        savable = Set(rot.whole.keys.filter(canBeSaved))
        try await expectFound(expected)
        try await expectNamed()
        let healing = try await copies()
        let heal = await Heal(healing, validConfig: rot.store.judge).run()
        try await salvage(healing, after: heal)
        expectNothingDeleted(harmed)
        try await expectHealed(expected, heal)
        if withRestic, expected.allSatisfy({ healable.contains($0.file) }) {
            counts.append("judged by restic")
            for drive in drives {
                let wrong = try TrialRestic.check(rot.store.repository(drive), log: log)
                if let wrong { problems.append("\(drive): \(wrong)") }
            }
        }
        return problems
    }

    // MARK: Damage

    private mutating func damage(_ reach: Reach) {
        switch reach {
        case .oneDrive: damageAny(on: numbers.pick(drives))
        case .differentBlobs: damageBlobs(same: false)
        case .sameBlob: damageBlobs(same: true)
        case .several:
            for _ in 0..<2 + numbers.below(5) { damageAny(on: numbers.pick(drives)) }
        }
    }

    private mutating func damageAny(on drive: String) {
        let kinds = Set(rot.whole.keys.map(\.kind)).sorted { $0.rawValue < $1.rawValue }
        let kind = numbers.pick(kinds)
        let files = rot.whole.keys.sorted()
        let file = numbers.pick(files.filter { $0.kind == kind })
        let others = files.filter { $0 != file && rot.whole[$0] != rot.whole[file] }
        let other = numbers.pick(others)
        var rotKind = numbers.pick(RotKind.allCases)
        // What is gone from every drive cannot be missed.
        if rotKind == .delete, drives.contains(where: { $0 != drive && bytes(file, $0) == nil }) {
            rotKind = .flip
        }
        if rotKind == .swap, bytes(other, drive) == nil || bytes(file, drive) == nil {
            rotKind = .flip
        }
        counts += ["\(rotKind)", kind.rawValue]
        RotDamage(kind: rotKind).apply(
            to: path(file, drive), other: path(other, drive), &numbers)
        if rotKind == .unreadable, bytes(file, drive) != nil {
            media[drive, default: RotMedium()].spoil(path(file, drive))
            unreadable[drive, default: []].insert(file)
        }
    }

    /// Damages a pack on every drive: in one blob that is the same on all, or in different ones.
    private mutating func damageBlobs(same: Bool) {
        let packs = rot.blobs.filter { $0.value.count >= drives.count }.keys.sorted()
        guard let pack = packs.isEmpty ? nil : numbers.pick(packs) else {
            return damageAny(on: numbers.pick(drives))
        }
        let file = FileName(.data, pack)
        let other = numbers.pick(rot.whole.keys.sorted().filter { $0 != file })
        let parts = numbers.pick(drives.count, of: rot.parts(of: pack).dropLast())
        for (place, drive) in drives.enumerated() {
            RotDamage(kind: numbers.pick(RotKind.aimed), range: parts[same ? 0 : place]).apply(
                to: path(file, drive), other: path(other, drive), &numbers)
        }
    }

    // MARK: What is there

    private func path(_ file: FileName, _ drive: String) -> String {
        rot.store.path(file, on: drive)
    }

    private func bytes(_ file: FileName, _ drive: String) -> [UInt8]? {
        TrialFiles.read(path(file, drive))
    }

    private func isGood(_ file: FileName, _ drive: String) -> Bool {
        unreadable[drive]?.contains(file) != true && bytes(file, drive) == rot.whole[file]
    }

    private func isGoodSomewhere(_ file: FileName) -> Bool {
        drives.contains { isGood(file, $0) }
    }

    /// Whether the part `range` of a pack is good on a drive.
    private func isGood(_ range: Range<Int>, of file: FileName, _ drive: String) -> Bool {
        guard unreadable[drive]?.contains(file) != true, let found = bytes(file, drive),
            let whole = rot.whole[file], range.upperBound <= found.count
        else { return false }
        return found[range] == whole[range]
    }

    /// Whether all that a file holds can be had although no drive has it good.
    private func canBeSaved(_ file: FileName) -> Bool {
        switch file.kind {
        case .index: true
        case .data:
            rot.parts(of: file.id).dropLast().allSatisfy { part in
                drives.contains { isGood(part, of: file, $0) }
            }
        default: false
        }
    }

    /// Rescues what is bad on every drive, as the appliance does after healing.
    private mutating func salvage(_ copies: [DriveBackend], after heal: HealReport) async throws {
        guard heal.behind.isEmpty, !heal.lost.contains(where: \.hasGoodCopy),
            healable.contains(.config)
        else { return }
        let salvage = try await Salvage(
            backend: MirroredBackend(copies), masterKey: rot.store.key, packByteCount: 32 << 10
        ).run(damaged: heal.lostEverywhere, retired: heal.audit.retired)
        superseded = Set(salvage.superseded)
        try await copies.setAside(
            salvage.superseded, salvage.damaged, for: salvage.rebuiltPacks + salvage.newIndexes,
            at: TrialStore.clock.now())
    }

    private struct Place: Hashable {
        let drive: String
        let file: FileName
    }

    private func expectedFindings() -> Set<Place> {
        var found: Set<Place> = []
        for file in rot.whole.keys {
            for drive in drives where !isGood(file, drive) {
                found.insert(Place(drive: drive, file: file))
            }
        }
        return found
    }

    private func copies() async throws -> [DriveBackend] {
        var copies: [DriveBackend] = []
        for drive in drives {
            copies.append(try await rot.store.copy(on: drive, fault: media[drive]?.hook))
        }
        return copies
    }

    // MARK: What must hold

    private mutating func expectFound(_ expected: Set<Place>) async throws {
        let audit = await CopyAudit(try await copies(), validConfig: rot.store.judge)
            .run(readData: true)
        let found = Set(
            audit.findings.map { Place(drive: $0.drive.rawValue, file: $0.file) })
        counts += expected.map { _ in "damaged files" }
        counts += expected.intersection(found).map { _ in "found" }
        for place in expected.subtracting(found) {
            problems.append("\(place.file.relativePath) on \(place.drive) was not found")
        }
        for place in found.subtracting(expected) {
            problems.append("\(place.file.relativePath) on \(place.drive) is not damaged")
        }
        for finding in audit.findings
        where finding.hasGoodCopy
            != drives.contains(where: { $0 != finding.drive.rawValue && isGood(finding.file, $0) })
        {
            problems.append("\(finding.file.relativePath): whether a copy is good is told wrongly")
        }
    }

    /// The check of one drive's content finds what its own files can tell, and names by file what
    /// is lost in damaged packs.
    private mutating func expectNamed() async throws {
        for copy in try await copies() {
            let drive = copy.drive.id.rawValue
            let report = try await StructureCheck(
                backend: copy, masterKey: rot.store.key, readData: true
            ).run()
            let bad = rot.whole.keys.filter { !isGood($0, drive) }
            let telling = bad.filter { $0.kind == .data || bytes($0, drive) != nil }
            if !telling.isEmpty, report.isSound {
                problems.append("the check of \(drive) finds nothing")
            }
            if bad.isEmpty, !report.isSound {
                problems.append("the check of \(drive) finds damage: \(report.findings.prefix(2))")
            }
            expectLossesNamed(bad, on: drive, report)
        }
    }

    private mutating func expectLossesNamed(
        _ bad: [FileName], on drive: String, _ report: StructureReport
    ) {
        var named: [BlobKey: [EntryPath]] = [:]
        for case .lostBlob(let lost) in report.findings { named[lost.key] = lost.paths }
        // Beneath a folder that cannot be read nothing can be named; without an index or a
        // snapshot nothing leads to the blobs.
        guard bad.allSatisfy({ $0.kind == .data || $0.kind == .key }),
            named.keys.allSatisfy({ $0.kind == .data })
        else { return }
        for file in bad where file.kind == .data {
            for blob in rot.blobs[file.id] ?? [] where blob.key.kind == .data {
                let part = Int(blob.offset)..<Int(blob.offset) + Int(blob.length)
                guard !isGood(part, of: file, drive) else { continue }
                let known = rot.paths(of: blob.key.id)
                counts.append("lost blobs named")
                if named[blob.key]?.contains(where: { known.contains($0) || known.isEmpty }) != true
                {
                    problems.append("\(blob.key.id.short) on \(drive) is not named by its file")
                }
            }
        }
    }

    private mutating func expectNothingDeleted(_ before: [[String: [UInt8]?]]) {
        for (drive, tree) in zip(drives, before) {
            let after = TrialFiles.tree(rot.store.drive(drive) + "/holdfast")
            let aside = Set(
                after.filter { $0.key.hasPrefix("/quarantine/") }.compactMap { $0.value })
            for (path, bytes) in tree {
                let isThere = after[path].map { $0 == bytes } ?? false
                guard !isThere, let bytes else { continue }
                if !aside.contains(bytes) { problems.append("\(drive)\(path) was deleted") }
            }
            if let left = after.keys.first(where: { $0.contains("-tmp-") }) {
                problems.append("\(drive)\(left) is left over")
            }
        }
    }

    private mutating func expectHealed(
        _ expected: Set<Place>, _ heal: HealReport
    ) async throws {
        let lost = Set(heal.lost.map { Place(drive: $0.drive.rawValue, file: $0.file) })
        let repaired = Set(heal.repaired.map { Place(drive: $0.drive.rawValue, file: $0.file) })
        for place in expected {
            let isWhole =
                bytes(place.file, place.drive) == rot.whole[place.file]
                || superseded.contains(place.file) && isAside(place)
            let wasGood = healable.contains(place.file)
            if wasGood {
                counts.append("healed")
                if !isWhole || !repaired.contains(place) {
                    problems.append("\(place.file.relativePath) on \(place.drive) was not healed")
                }
            } else {
                counts.append(savable.contains(place.file) ? "saved by its blobs" : "lost")
                if !lost.contains(place) {
                    problems.append("the loss of \(place.file.relativePath) is not told")
                }
            }
        }
        if expected.isEmpty != (heal.audit.findings.isEmpty) {
            problems.append("heal sees other damage than there is")
        }
        if expected.allSatisfy({ healable.contains($0.file) }), !heal.isWhole {
            problems.append("the drives are not whole after healing")
        }
        try await expectContent(expected)
    }

    /// Whether a drive's quarantine holds a file with the bytes it had when it was whole.
    private func isAside(_ place: Place) -> Bool {
        TrialFiles.tree(rot.store.drive(place.drive) + "/holdfast").contains {
            $0.key.hasPrefix("/quarantine/") && $0.value == rot.whole[place.file]
        }
    }

    /// Every drive alone gives back all snapshots, where nothing was lost.
    private mutating func expectContent(_ expected: Set<Place>) async throws {
        guard expected.allSatisfy({ healable.union(savable).contains($0.file) }) else { return }
        problems += await rot.model.verify(rot.store)
    }
}
