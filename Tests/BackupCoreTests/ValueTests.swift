import BackupCore
import Testing

@Suite struct IdentifierTests {
    @Test(arguments: ["a", "android-0123456789abcdef", "1-4.2", "Anna_2", "x.y"])
    func ordinaryNamesAreIdentifiers(text: String) {
        #expect(OwnerID(rawValue: text)?.rawValue == text)
    }

    @Test(arguments: [
        "", ".", "..", ".hidden", "a/b", "../x", "a b", "é", "a\u{0}b", "a\nb",
        String(repeating: "x", count: 65),
    ])
    func whatCouldBecomeAPathIsRefused(text: String) {
        #expect(OwnerID(rawValue: text) == nil)
        #expect(DriveID(rawValue: text) == nil)
    }
}

@Suite struct ContentIDTests {
    @Test func hexadecimalAndBytesGiveTheSameID() throws {
        let bytes = (0..<32).map { UInt8($0 * 7 & 0xFF) }
        let id = try #require(ContentID(bytes: bytes))
        #expect(id.bytes == bytes)
        #expect(ContentID(hex: id.hex) == id)
        #expect(id.hex.count == 64)
        #expect(ContentID(words: id.words) == id)
    }

    @Test(arguments: [
        "", "ab", String(repeating: "A", count: 64), String(repeating: "g", count: 64),
        String(repeating: "0", count: 63),
    ])
    func otherTextIsNoID(text: String) {
        #expect(ContentID(hex: text) == nil)
    }

    @Test func orderIsThatOfTheBytes() throws {
        let small = try #require(ContentID(hex: "00" + String(repeating: "f", count: 62)))
        let large = try #require(ContentID(hex: "01" + String(repeating: "0", count: 62)))
        #expect(small < large)
        #expect(!(large < small))
    }
}

@Suite struct EntryNameTests {
    @Test func composedAndDecomposedNamesAreTwo() {
        #expect(EntryName("\u{E9}.jpg") != EntryName("e\u{301}.jpg"))
        #expect(Set([EntryName("\u{E9}"), EntryName("e\u{301}")]).count == 2)
    }

    @Test(arguments: ["", ".", "..", "a/b", "a\u{0}b", String(repeating: "n", count: 256)])
    func namesThatAFolderCannotHoldAreNoTreeNames(text: String) {
        #expect(!EntryName(text).isTreeName)
    }

    @Test(arguments: ["a", "...", "a\\b", "a\nb", String(repeating: "n", count: 255)])
    func oddNamesThatAFolderCanHoldAreTreeNames(text: String) {
        #expect(EntryName(text).isTreeName)
    }

    @Test func aPathKnowsWhatLiesWithinIt() {
        let photos = EntryPath(text: "/DCIM/Camera")
        #expect(EntryPath(text: "DCIM/Camera/1.jpg").isWithin(photos))
        #expect(photos.isWithin(photos))
        #expect(!EntryPath(text: "/DCIM/Camera2/1.jpg").isWithin(photos))
        #expect(photos.isWithin(.root))
        #expect(photos.description == "/DCIM/Camera")
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, true), (3600, true), (-7200, true), (26 * 3600, true), (27 * 3600, false),
        (1, false), (1800, false), (3601, false),
    ])
    func aShiftOfWholeHoursIsNoModification(seconds: Int64, same: Bool) {
        let date = Timestamp(seconds: 1_700_000_000)
        #expect(date.isSameModification(as: Timestamp(seconds: 1_700_000_000 + seconds)) == same)
    }

    @Test func otherNanosecondsAreAModification() {
        let date = Timestamp(seconds: 10, nanoseconds: 5)
        #expect(!date.isSameModification(as: Timestamp(seconds: 10, nanoseconds: 6)))
        #expect(!date.isSameModification(as: Timestamp(seconds: 3610, nanoseconds: 6)))
    }

    @Test func datesAtTheEndsOfTimeAreCompared() {
        let first = Timestamp(seconds: .min)
        #expect(!first.isSameModification(as: Timestamp(seconds: .max)))
    }
}

@Suite struct ExitCodeTests {
    @Test func everyCodeHasItsPlaceInTheOrder() {
        #expect(Set(ExitCode.byNeedOfAPerson) == Set(ExitCode.allCases))
        #expect(ExitCode.byNeedOfAPerson.count == ExitCode.allCases.count)
    }

    @Test func theOutcomeThatMostNeedsAPersonWins() {
        #expect(ExitCode.worst(of: [.done, .notEveryDrive, .held]) == .held)
        #expect(ExitCode.worst(of: [.someUnreadable, .notEveryDrive]) == .someUnreadable)
        #expect(ExitCode.worst(of: [.phone, .key, .partial]) == .key)
        #expect(ExitCode.worst(of: []) == .done)
    }
}

@Suite struct ErrorTests {
    @Test(arguments: DeviceError.Code.allCases)
    func everyDeviceErrorAnswersThreeQuestions(code: DeviceError.Code) {
        let error = DeviceError(code, "Reading stopped at 3.1 MB", path: EntryPath(text: "a/b"))
        #expect(error.whatHappened == "Reading stopped at 3.1 MB (/a/b).")
        #expect(!error.consequence.sentence.isEmpty)
        #expect(error.whatToDo.hasSuffix("."))
        #expect(error.exitCode != .done)
    }

    @Test(arguments: BackendError.Code.allCases)
    func everyDriveErrorAnswersThreeQuestions(code: BackendError.Code) {
        let error = BackendError(code, "Writing a pack failed", drive: DriveID(trusted: "d1"))
        #expect(error.whatHappened == "Drive d1: Writing a pack failed.")
        #expect(error.explanation.contains(error.whatToDo))
        #expect(RepositoryError(error).exitCode != .done)
    }
}

@Suite struct SnapshotTests {
    @Test func plainResticsGroupingKeepsPhonesAndPartialsApart() throws {
        let id = ContentID(words: (1, 2, 3, 4))
        let phone = PhoneID(trusted: "android-00ff00ff00ff00ff")
        func draft(partial: Bool) -> SnapshotDraft {
            .of(
                phone: phone, capture: .media, run: RunID(trusted: "r1"), partial: partial,
                tree: id, parent: nil, time: .zero, utcOffsetSeconds: 0, hostname: "box")
        }
        let whole = Snapshot(id: id, draft: draft(partial: false))
        let part = Snapshot(id: id, draft: draft(partial: true))
        #expect(whole.draft.paths == ["/android-00ff00ff00ff00ff/media"])
        #expect(part.draft.paths == ["/android-00ff00ff00ff00ff/media/partial"])
        #expect(whole.phone == phone && part.phone == phone)
        #expect(whole.capture == .media)
        #expect(part.isPartial && !whole.isPartial)
        #expect(whole.run?.rawValue == "r1")
    }
}
