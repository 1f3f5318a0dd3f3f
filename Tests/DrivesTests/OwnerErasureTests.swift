import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

@Suite struct OwnerErasureTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private static let other = OwnerID(trusted: "owner-12")

    private func prepare() async throws {
        try await copies.enrol("a")
        try await copies.initialise("a")
        try await copies.write(1, to: "a")
        let other = try await drive().repository(Self.other)
        try await DrivePair.initialise(other)
        try await other.write(DrivePair.file(.snapshot, [1, 2]), [1, 2])
        try await other.flush()
        let quarantine = copies.path("a") + "/holdfast/quarantine"
        for owner in [DrivePair.owner, Self.other] {
            for name in ["config-config-1", "data-\(ContentID.sha256(of: [3]).hex)-2"] {
                PlainFile.write("\(quarantine)/\(owner)-\(name)", [3])
            }
        }
        // What other programs and killed runs leave.
        PlainFile.write(copies.repository("a") + "/keys/abc-tmp-1", [4])
        unsafe mkdir(copies.repository("a") + "/data/00/deep", 0o700)
        unsafe symlink("/etc/hostname", copies.repository("a") + "/data/00/deep/link")
    }

    private func drive(fault: DriveFaultHook? = nil) async throws -> Drive {
        try await Drive.open(
            path: copies.path("a"), options: DrivePair.options(fault: fault))
    }

    /// All files but the journal that are, or are not, the erased owner's.
    private func files(ofErased: Bool) -> [String: [UInt8]?] {
        PlainFile.tree(copies.path("a") + "/holdfast").filter { path, _ in
            let isErased =
                path.contains("/\(DrivePair.owner)/") || path.hasSuffix("/\(DrivePair.owner)")
                || path.contains("/\(DrivePair.owner)-")
            return isErased == ofErased && !path.hasPrefix("/journal")
        }
    }

    @Test func nothingOfTheOwnerStaysAndNothingElseChanges() async throws {
        try await prepare()
        let others = files(ofErased: false)
        #expect(files(ofErased: true).count > 260)
        let drive = try await drive()
        #expect(try await drive.holdsFiles(of: DrivePair.owner))
        try await drive.erase(DrivePair.owner)
        #expect(files(ofErased: true).isEmpty)
        #expect(files(ofErased: false) == others)
        #expect(try await !drive.holdsFiles(of: DrivePair.owner))
        #expect(try await drive.owners() == [Self.other])
        #expect(unsafe access("/etc/hostname", F_OK) == 0, "links are not followed")
        try await drive.erase(DrivePair.owner)
    }

    @Test func keyFilesGoBeforeAnythingElse() async throws {
        try await prepare()
        let content = PlainFile.tree(copies.repository("a")).count
        var isTried = false
        for call in 1... {
            let fault = NthCall(failing: call, isSticky: true, kinds: [.unlink, .removeDirectory])
            do {
                try await drive(fault: fault.hook).erase(DrivePair.owner)
                break
            } catch {
                let left = PlainFile.tree(copies.repository("a"))
                let keys = left.keys.filter { $0.hasPrefix("/keys/") }
                if left.count < content - 2 {
                    isTried = true
                    #expect(keys.isEmpty, "call \(call)")
                }
            }
        }
        #expect(isTried)
        #expect(files(ofErased: true).isEmpty)
    }

    @Test func afterAnyFailingCallARepetitionDoesTheRest() async throws {
        for call in stride(from: 1, to: 2000, by: 37) {
            Shell.run("rm", "-rf", copies.path("a"))
            try await prepare()
            let others = files(ofErased: false)
            let fault = NthCall(failing: call)
            // The first may fail; what counts is the second.
            try? await drive(fault: fault.hook).erase(DrivePair.owner)
            #expect(files(ofErased: false) == others, "call \(call)")
            try await drive().erase(DrivePair.owner)
            #expect(files(ofErased: true).isEmpty, "call \(call)")
            #expect(files(ofErased: false) == others, "call \(call)")
            if !fault.didFail { return }
        }
        Issue.record("the erasure has more calls than were failed")
    }

    @Test func theJournalTellsWhoWasErased() async throws {
        try await prepare()
        let journal = try await drive().journal
        #expect(try await journal.erasedOwners().isEmpty)
        try await journal.append(.erased(DrivePair.owner), at: .zero)
        try await journal.append(.erasureDone(DrivePair.owner), at: .zero)
        #expect(try await journal.erasedOwners() == [DrivePair.owner])
        #expect(try await journal.read().damage.isEmpty)
    }
}
