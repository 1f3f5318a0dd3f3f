import Appliance
import BackupCore
import ControlAPI
import Testing

@Suite struct ChoiceTests {
    private func snapshot(
        _ number: UInt64, phone: String? = "android-1", capture: Capture = .media,
        isComplete: Bool = true
    ) throws -> (id: ContentID, document: SnapshotDocument) {
        let id = ContentID(words: (number << 56, 0, 0, 0))
        let owner = try #require(OwnerID(rawValue: "o"))
        return (
            id,
            SnapshotDocument(
                id: id, time: Timestamp(seconds: Int64(number)), utcOffsetSeconds: 0,
                owner: owner, phone: phone.flatMap(PhoneID.init(rawValue:)), phoneName: nil,
                capture: capture, isComplete: isComplete, files: nil, bytes: nil, copies: [])
        )
    }

    @Test func latestIsTheNewestCompleteOne() throws {
        let all = [try snapshot(1), try snapshot(3), try snapshot(4, isComplete: false)]
        #expect(try SnapshotChoice("latest").pick(from: all) == all[1].id)
    }

    @Test func latestIsRefusedWhenItCouldMeanMoreThanOnePhoneOrCapture() throws {
        let phones = [try snapshot(1), try snapshot(2, phone: "android-2")]
        let captures = [try snapshot(1), try snapshot(2, capture: .backup)]
        for all in [phones, captures, []] {
            #expect(throws: ApplianceError.self) { try SnapshotChoice("latest").pick(from: all) }
        }
        let partial = [try snapshot(1), try snapshot(2, phone: "android-2", isComplete: false)]
        #expect(try SnapshotChoice("latest").pick(from: partial) == partial[0].id)
    }

    @Test func aPrefixMeansOneSnapshotOrIsRefused() throws {
        let all = [try snapshot(0x10), try snapshot(0x11), try snapshot(0xAB)]
        #expect(try SnapshotChoice("ab").pick(from: all) == all[2].id)
        #expect(try SnapshotChoice("AB0").pick(from: all) == all[2].id)
        #expect(try SnapshotChoice(all[0].id.hex).pick(from: all) == all[0].id)
        for text in ["1", "", "zz", "cd", "../x", all[0].id.hex + "0"] {
            do throws(ApplianceError) {
                _ = try SnapshotChoice(text).pick(from: all)
                Issue.record("\(text) was accepted")
            } catch {
                #expect(error.exitCode == .notFound)
            }
        }
    }

    @Test(arguments: [
        ("1-1", true), ("1-4.2.3", true), ("12-1", true), ("android-1", false), ("1-", false),
        ("1-1.", false), ("-1", false), ("1-a", false),
    ])
    func aBayIsAPortChain(text: String, isBay: Bool) {
        let choice = PhoneChoice(text)
        if case .bay? = choice { #expect(isBay) } else { #expect(!isBay) }
    }

    @Test func aPhonesIDDependsOnTheSetAndItsIdentity() throws {
        let set = try #require(DriveSetID(rawValue: "set-1"))
        let other = try #require(DriveSetID(rawValue: "set-2"))
        func id(_ identity: String, _ set: DriveSetID) -> PhoneID {
            PhoneIdentity.phoneID(family: .android, identity: identity, set: set)
        }
        // printf 'set-1\nSERIAL\nPixel 7' | sha256sum | cut -c1-16
        #expect(id("SERIAL\nPixel 7", set).rawValue == "android-f61573e26381f5be")
        #expect(id("SERIAL\nPixel 7", set) != id("SERIAL\nPixel 8", set))
        #expect(id("SERIAL\nPixel 7", set) != id("SERIAL\nPixel 7", other))
    }

    @Test func everyErrorAnswersThreeQuestionsAndHasItsCode() {
        let cases: [(any Error, ExitCode)] = [
            (ApplianceError(.key, "W.", whatToDo: "D."), .key),
            (DeviceError(.refused, "w"), .phoneRefused), (BackendError(.full, "w"), .driveFull),
            (RepositoryError(.wrongPassword, "w"), .key), (CancellationError(), .interrupted),
            (SaveError.source(DeviceError(.gone, "w")), .phone), (Odd(), .bug),
        ]
        for (error, code) in cases {
            let outcome = Outcome(error)
            #expect(outcome.exitCode == code)
            #expect(outcome.explanation.hasSuffix("."))
        }
        let told = Outcome(ApplianceError(.key, "Happened.", whatToDo: "Do this.")).explanation
        #expect(told == "Happened. \(Consequence.nothingChanged.sentence) Do this.")
    }

    private struct Odd: Error {}
}
